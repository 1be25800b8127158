"""The app's name for Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Registers apps.jobs."""

    name = "apps.jobs"
    verbose_name = "Work"
