"""Providers in the back office: what is declared, and how it stands at this moment."""

from apps.providers.admin.catalogue import ModelAdminPage, ProviderAdmin

__all__ = ["ModelAdminPage", "ProviderAdmin"]
