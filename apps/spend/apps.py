"""The app's name for Django."""

from django.apps import AppConfig


class SpendConfig(AppConfig):
    """Registers apps.spend."""

    name = "apps.spend"
    verbose_name = "Money"
