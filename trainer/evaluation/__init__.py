"""Judge a run product by product on data it was not trained on, and write a report that needs no code to read."""
