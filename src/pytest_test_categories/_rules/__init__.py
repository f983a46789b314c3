"""What a size may reach, and the texts about a violation: pure functions, which import nothing else of the package."""
