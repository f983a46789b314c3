"""The baseline: violations that a project knows of, which warn while new ones fail."""
