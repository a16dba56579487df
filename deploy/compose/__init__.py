"""Shelver on one machine with a container engine: compose.yaml, and what it runs once."""
