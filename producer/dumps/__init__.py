"""BSON dumps into the catalog, and out of it."""
