"""The app's name for Django."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """Registers apps.conversations."""

    name = "apps.conversations"
