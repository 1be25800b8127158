"""Who asks: users, workspaces, members and API keys."""
