"""What the console shows, a page a module."""
