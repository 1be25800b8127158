"""Every part has a place in the order of stopping, and every queue has somebody who serves it."""

from pathlib import Path

from apps.ops.domain.parts import STOP_STAGES, WORKERS, model_part, platform_parts, postgres_part, valkey_part


def _platform() -> dict[str, tuple[str, ...]]:
    parts = platform_parts(
        python="python", project=Path("/p"), home=Path("/h"), port=8000, flower_port=5555, cores=4, worker_stop_seconds=30.0
    )
    return {part.name: part.command for part in parts}


def test_every_part_is_stopped_exactly_once() -> None:
    stores = [postgres_part(["postgres"]), valkey_part(["valkey"]), model_part(python="python", manage="manage.py", port=1)]
    names = [*_platform(), *(part.name for part in stores)]
    assert sorted(name for stage in STOP_STAGES for name in stage) == sorted(names)


def test_stores_outlive_everyone_who_needs_them() -> None:
    assert STOP_STAGES[0] == ("web",)
    assert STOP_STAGES[-2:] == (("valkey",), ("postgres",))


def test_every_queue_but_dead_letter_is_consumed_by_one_worker_set() -> None:
    from aiplatform.celery import QUEUES

    commands = _platform()
    served = [queue for name in WORKERS for queue in commands[name][commands[name].index("-Q") + 1].split(",")]
    assert sorted([*served, "dead_letter"]) == sorted(QUEUES)


def test_exec_has_one_child_more_than_cores() -> None:
    command = _platform()["exec"]
    assert command[command.index("-c") + 1] == "5"
