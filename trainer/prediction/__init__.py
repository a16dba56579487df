"""The categories of any picture, for a person to look at."""
