"""See and run the platform: the stack, health, dashboards, metrics, the provider simulator. Sees every app; no app sees it."""
