"""Celery's way in."""

from apps.files import actions
from apps.lib.background import background_task
from apps.lib.clock import current_time


@background_task(name="files.clear_spool")
def clear_spool() -> int:
    return actions.clear_spool(now=current_time())


@background_task(name="files.expire_uploads")
def expire_uploads() -> int:
    return actions.expire_uploads(now=current_time())


@background_task(name="files.remove_strays")
def remove_strays() -> int:
    return actions.remove_strays(now=current_time())
