"""Celery's way in."""

from typing import Any, Literal

from apps.lib.background import background_task
from apps.lib.clock import current_time
from apps.ops.actions.erase_workspaces import erase_workspaces as erase
from apps.ops.actions.forget_old import forget_old as forget_old_rows
from apps.ops.actions.forget_results import forget_results as forget
from apps.ops.actions.probe_conversations import probe_conversations as probe
from apps.ops.actions.prove_money import prove_money as prove
from apps.ops.actions.release_canaries import land_canary as land
from apps.ops.actions.release_canaries import release_canaries
from apps.ops.actions.watch_conditions import watch_conditions


@background_task(name="ops.canary")
def canary() -> None:
    release_canaries()


@background_task(name="ops.land_canary")
def land_canary(*, on_queue: Literal["interactive", "default", "bulk", "ingest", "control"]) -> None:
    land(on_queue=on_queue)


@background_task(name="ops.watch")
def watch() -> dict[str, int]:
    return watch_conditions(now=current_time())


@background_task(name="ops.prove_money", ignore_result=False, soft_time_limit=1800, time_limit=1830)
def prove_money() -> dict[str, Any]:
    return prove(now=current_time())


@background_task(name="ops.probe_conversations", ignore_result=False)
def probe_conversations() -> dict[str, Any]:
    return probe(now=current_time())


@background_task(name="ops.forget_results")
def forget_results() -> int:
    return forget(now=current_time())


@background_task(name="ops.forget_old")
def forget_old() -> dict[str, int]:
    return forget_old_rows(now=current_time())


@background_task(name="ops.erase_workspaces")
def erase_workspaces() -> dict[str, int]:
    return erase(clock=current_time)
