"""What is listed, as it is listed."""
