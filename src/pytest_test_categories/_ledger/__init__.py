"""What is on record, who was told of it, and what a session knows."""
