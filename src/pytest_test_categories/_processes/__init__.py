"""Child processes: the guards that they receive, and their reports."""
