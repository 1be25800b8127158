"""Keys and what they open, in plain Python."""
