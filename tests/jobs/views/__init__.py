"""Doors to work, over HTTP."""
