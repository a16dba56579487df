"""Container images: what goes into them, and how they tell that they are well."""
