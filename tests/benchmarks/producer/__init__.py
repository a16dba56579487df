"""The parts of make bench-producer."""
