"""This machine: its names and addresses, its functions as they are before a test fakes them, and how to patch them."""
