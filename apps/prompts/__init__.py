"""What we say: prompts and their versions. Its tables come with the issue that builds it."""
