"""How many workers and GPUs a day of listings takes: a queueing model, fed with what was measured."""
