"""Rows for tests, made through the actions that make them for people."""
