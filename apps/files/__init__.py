"""What came in and went out: files, their storage and expiry."""
