"""The record's rules in plain Python: how bodies are named and packed, what a run and an exchange hold."""
