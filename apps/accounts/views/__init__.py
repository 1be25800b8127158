"""The HTTP doors to API keys, and to the back office itself."""
