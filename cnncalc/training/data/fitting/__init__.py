"""Images and labels made to fit the network."""
