"""Celery's way in."""

from django.utils import timezone

from apps.accounts import actions
from apps.lib.background import background_task


@background_task(name="accounts.forget_records")
def forget_records() -> int:
    return actions.forget_records(now=timezone.now())
