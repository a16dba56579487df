"""From prepared data and a config to a run."""
