"""The parts of make bench: how near the line comes to what the model alone can do, and what it costs beside it."""
