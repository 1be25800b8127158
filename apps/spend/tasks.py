"""Celery's way in."""

from typing import Any

from apps.lib.background import background_task
from apps.lib.clock import current_time
from apps.spend import actions


@background_task(name="spend.roll_up")
def roll_up() -> None:
    actions.roll_up()


@background_task(name="spend.report", ignore_result=False)
def report() -> dict[str, Any]:
    return actions.report_spend(now=current_time())
