"""The app's name for Django."""

from django.apps import AppConfig


class FilesConfig(AppConfig):
    """Registers apps.files."""

    name = "apps.files"
