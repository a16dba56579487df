"""Look at a dump: what is in it, how unevenly, and what to beware of, as one HTML page and the same as JSON."""
