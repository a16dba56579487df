"""English names of the categories."""
