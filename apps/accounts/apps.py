"""The app's name for Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers apps.accounts."""

    name = "apps.accounts"
