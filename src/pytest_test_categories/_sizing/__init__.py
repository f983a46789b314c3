"""Sizes from an observed run: which would do, and markers written into the sources."""
