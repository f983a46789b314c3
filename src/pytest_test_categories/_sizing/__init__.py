"""Suggests sizes from an observed run, and writes the markers into the sources."""
