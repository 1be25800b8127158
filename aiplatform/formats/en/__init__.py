"""English, the only language of the back office."""
