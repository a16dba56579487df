"""The networks that a config can name, and their weights."""
