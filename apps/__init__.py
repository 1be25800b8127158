"""The rooms of the house; pyproject.toml says which may look into which."""
