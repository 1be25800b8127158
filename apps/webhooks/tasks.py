"""Celery's way in."""

from django.utils import timezone

from apps.lib.background import background_task
from apps.webhooks import actions


@background_task(name="webhooks.deliver")
def deliver() -> int:
    return actions.deliver(clock=timezone.now)


@background_task(name="webhooks.forget")
def forget() -> int:
    return actions.forget_events(now=timezone.now())
