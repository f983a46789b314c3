"""The records of attempts, their delivery, and what a session keeps."""
