"""The app's name for Django."""

from django.apps import AppConfig


class OpsConfig(AppConfig):
    """Registers apps.ops."""

    name = "apps.ops"
