"""Who can answer, and how they are asked."""
