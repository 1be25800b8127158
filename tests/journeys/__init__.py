"""From the first request to the last byte, over real servers."""
