"""The app's name for Django."""

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """Registers apps.providers."""

    name = "apps.providers"
