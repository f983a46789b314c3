"""Who is charged with an attempt, and which line of code made it."""
