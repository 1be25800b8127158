"""Tell the outside: events, the endpoints that want them, and signed deliveries."""
