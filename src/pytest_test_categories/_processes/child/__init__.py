"""The directory that Python children of a guarded test find on their path, and what they start with."""
