"""What a worker counts and measures for Prometheus. docs/metrics.md describes each metric."""
