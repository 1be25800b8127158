"""States, conflicts, windows and memory, in plain Python."""
