"""What operators look at: is it up, what waits, what it costs."""
