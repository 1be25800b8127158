"""The app's name for Django, and the folder that uploads arrive in."""

from django.apps import AppConfig
from django.conf import settings


class FilesConfig(AppConfig):
    """Registers apps.files."""

    name = "apps.files"

    def ready(self) -> None:
        # Django spools uploads there before any of our code runs.
        settings.FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
