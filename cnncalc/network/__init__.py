"""Which layers a spec comes to: blocks, repeats and conditions worked out."""
