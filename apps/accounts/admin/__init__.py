"""Accounts in the back office: people and workspaces, API keys, and the log of who changed what."""

from apps.accounts.admin import audit, keys, people

__all__ = ["audit", "keys", "people"]
