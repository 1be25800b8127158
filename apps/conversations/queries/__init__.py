"""Read what was said and what is remembered."""
