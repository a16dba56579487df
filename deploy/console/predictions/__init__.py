"""Predictions: what is stored, in pictures, and one product closely."""
