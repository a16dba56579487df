"""Kaggle's file of answers, from a run or from stored predictions."""
