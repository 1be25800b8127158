"""Filters of the platform's own pages."""
