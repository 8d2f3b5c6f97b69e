"""What each layer costs and sees."""
