"""Celery's way in."""

from apps.lib.background import background_task
from apps.providers import actions


@background_task(name="providers.expire_cache")
def expire_cache() -> int:
    return actions.expire_cache()
