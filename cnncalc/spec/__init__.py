"""What is in a file: its text, its fields, and a message for each mistake."""
