"""Celery's way in."""

from django.utils import timezone

from apps.files import actions
from apps.lib.background import background_task


@background_task(name="files.expire")
def expire() -> int:
    return actions.expire_files(now=timezone.now())
