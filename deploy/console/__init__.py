"""The page for analysts: classify, look at predictions, review, compare models, see how the line is."""
