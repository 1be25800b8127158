"""What it costs: dated prices and one charge per used answer."""
