"""What runs in a process of its own, in turns with the line, and so imports no more than what it measures needs."""
