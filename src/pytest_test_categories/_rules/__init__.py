"""What a size may reach, and what is said of a breach: pure, and imports nothing else of ours."""
