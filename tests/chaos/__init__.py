"""Processes killed in the middle of their work (make chaos)."""
