"""What may be uploaded, in plain Python."""
