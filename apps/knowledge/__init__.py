"""What we know: collections and documents. Its tables come with the issue that builds it."""
