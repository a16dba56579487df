"""What analysts ask, on a made-up store of a million predictions."""
