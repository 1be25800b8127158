"""Calls, answers and what they come to, in plain Python."""
