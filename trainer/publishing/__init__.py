"""From a run to a version that TensorFlow Serving serves and SQL knows."""
