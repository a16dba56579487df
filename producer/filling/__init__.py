"""What is in the catalog already."""
