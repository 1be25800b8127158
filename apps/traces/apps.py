"""The app's name for Django."""

from django.apps import AppConfig


class TracesConfig(AppConfig):
    """Registers apps.traces."""

    name = "apps.traces"
