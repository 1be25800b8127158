"""Tell the outside: events and signed deliveries. Its tables come with the issue that builds it."""
