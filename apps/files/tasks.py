"""Celery's way in."""

from django.utils import timezone

from apps.files import actions
from apps.lib.background import background_task


@background_task(name="files.expire")
def expire() -> int:
    return actions.expire_files(now=timezone.now())


@background_task(name="files.expire_uploads")
def expire_uploads() -> int:
    return actions.expire_uploads(now=timezone.now())


@background_task(name="files.remove_strays")
def remove_strays() -> int:
    return actions.remove_strays(now=timezone.now())
