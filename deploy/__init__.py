"""How Shelver runs: local (one machine, one command), compose and kubernetes, what is in their images, and the console."""
