"""What analysts ask of the store, each question a function over an open connection, the same on both databases."""
