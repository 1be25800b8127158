"""Celery's way in."""

from django.utils import timezone

from apps.lib.background import background_task
from apps.providers import actions


@background_task(name="providers.expire_cache")
def expire_cache() -> int:
    return actions.expire_cache()


@background_task(name="providers.remember_usage")
def remember_usage() -> int:
    return actions.remember_usage(now=timezone.now())
