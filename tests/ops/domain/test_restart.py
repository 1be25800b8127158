"""Which parts a rolling restart replaces, and in which order."""

import pytest

from apps.ops.domain.restart import RESTART_ORDER, PartUnknownError, Restart, parts_to_replace, restart_from_json

_RUNNING = ("postgres", "valkey", "model", "web", "exec-interactive", "exec", "ingest", "control", "beat", "flower")


def test_workers_go_before_the_door_and_the_stores_and_the_model_stay() -> None:
    assert parts_to_replace(_RUNNING, ()) == ("exec-interactive", "exec", "ingest", "control", "beat", "flower", "web")


def test_named_parts_alone_in_the_same_order() -> None:
    assert parts_to_replace(_RUNNING, ["web", "model", "exec"]) == ("exec", "model", "web")
    assert parts_to_replace(["web"], ()) == ("web",)


@pytest.mark.parametrize("name", ["postgres", "valkey", "supervisor", "worker"])
def test_what_holds_the_work_or_does_not_run_is_refused_by_name(name: str) -> None:
    with pytest.raises(PartUnknownError, match=f"{name} can't be replaced here; these can: exec-interactive, exec, "):
        parts_to_replace(_RUNNING, ["web", name])


def test_a_restart_is_read_as_it_was_written() -> None:
    restart = Restart(id="1", parts=RESTART_ORDER).after("exec").ended("no room")
    assert (restart.replaced, restart.is_over, restart.error) == (("exec",), True, "no room")
    assert (
        restart_from_json({"id": "1", "parts": list(RESTART_ORDER), "replaced": ["exec"], "is_over": True, "error": "no room"}) == restart
    )
