"""What was said: turns and memory. Its tables come with the issue that builds it."""
