"""Single calls: waiting for their answers."""
