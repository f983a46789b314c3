"""Child processes: what they are handed, and what they report."""
