"""How Shelver runs: local (one machine, one command)."""
