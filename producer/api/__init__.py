"""Shelver over HTTP, for callers that are not Python. Its libraries are the extra `api`."""
