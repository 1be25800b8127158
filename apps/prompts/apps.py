"""The app's name for Django."""

from django.apps import AppConfig


class PromptsConfig(AppConfig):
    """Registers apps.prompts."""

    name = "apps.prompts"
