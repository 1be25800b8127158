"""Celery's way in."""

from django.utils import timezone

from apps.lib.background import background_task
from apps.ops.actions.forget_old import forget_old as forget_old_rows
from apps.ops.actions.forget_results import forget_results as forget
from apps.ops.actions.release_canaries import land_canary as land
from apps.ops.actions.release_canaries import release_canaries


@background_task(name="ops.canary")
def canary() -> None:
    release_canaries()


@background_task(name="ops.land_canary")
def land_canary(*, on_queue: str) -> None:
    land(on_queue=on_queue)


@background_task(name="ops.forget_results")
def forget_results() -> int:
    return forget(now=timezone.now())


@background_task(name="ops.forget_old")
def forget_old() -> dict[str, int]:
    return forget_old_rows(now=timezone.now())
