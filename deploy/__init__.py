"""How Shelver runs: on one machine, by compose, on Kubernetes; what is in its images, and the console."""
