"""Celery's way in."""

from apps.lib.background import background_task
from apps.lib.clock import current_time
from apps.webhooks import actions


@background_task(name="webhooks.deliver")
def deliver() -> int:
    return actions.deliver(clock=current_time)


@background_task(name="webhooks.send_mails")
def send_mails() -> int:
    return actions.send_mails(clock=current_time)


@background_task(name="webhooks.forget")
def forget() -> int:
    return actions.forget_events(now=current_time())
