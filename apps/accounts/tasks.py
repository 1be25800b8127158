"""Celery's way in."""

from apps.accounts import actions
from apps.lib.background import background_task
from apps.lib.clock import current_time


@background_task(name="accounts.forget_records")
def forget_records() -> int:
    return actions.forget_records(now=current_time())
