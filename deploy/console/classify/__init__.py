"""Classify: ask the served model about pictures from anywhere."""
