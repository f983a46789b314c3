"""What this machine says of names and addresses, its functions before a test fakes them, and how to patch it."""
