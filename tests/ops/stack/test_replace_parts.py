"""A rolling restart with small real processes: each ends by itself, comes back, and only then the next one's turn comes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.ops.actions.stack.keep_restart import ask_for_restart, forget_restart, load_restart
from apps.ops.actions.stack.keep_state import save_state
from apps.ops.actions.stack.lock_home import lock_home
from apps.ops.actions.stack.replace_parts import replace_parts
from apps.ops.actions.stack.restart_parts import restart_parts
from apps.ops.domain.parts import Part
from apps.ops.domain.restart import Restart
from apps.ops.domain.stack import PartState, StackError, StackState
from tests.ops.stack.test_supervise import Stack

_STAYS = "import time; time.sleep(600)"
_GOOD = [sys.executable, "-c", "pass"]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Its `exec` is well as long as it runs."""
    made = Stack(tmp_path)
    monkeypatch.setattr("apps.ops.actions.stack.probe.answering_nodes", lambda _url, names: set(names) & set(made.supervisor.processes))
    made.supervisor.start([made.web(), Part("exec", (sys.executable, "-c", _STAYS), stop_seconds=2)])
    made.supervisor.wait_until_healthy(["web", "exec"])
    yield made
    made.supervisor.take_down(is_urgent=lambda: True)


def ask(home: Path, *parts: str) -> None:
    ask_for_restart(home, Restart(id="mine", parts=parts))


def result(home: Path) -> Restart:
    found = load_restart(home)
    assert found is not None
    return found


def test_each_part_is_another_process_afterwards_and_healthy(stack: Stack, tmp_path: Path) -> None:
    before = dict(stack.state.pids)
    stack.news.clear()
    ask(tmp_path, "exec", "web")
    replace_parts(tmp_path, stack.supervisor, _GOOD)
    assert result(tmp_path) == Restart(id="mine", parts=("exec", "web"), replaced=("exec", "web"), is_over=True)
    assert all(stack.state.pids[name] != before[name] for name in ("exec", "web"))
    assert stack.supervisor.healthy == {"exec", "web"}
    course = [PartState.STOPPING, PartState.STARTING, PartState.HEALTHY]
    assert [(news.part, news.state) for news in stack.news] == [(name, state) for name in ("exec", "web") for state in course]
    # Done once.
    replace_parts(tmp_path, stack.supervisor, _GOOD)
    assert len(stack.news) == 6


def test_a_part_that_died_meanwhile_is_started(stack: Stack, tmp_path: Path) -> None:
    stack.supervisor.processes["exec"].kill()
    stack.stop_when = lambda: "exec" not in stack.supervisor.processes
    stack.supervisor.watch()
    stack.stop_when = lambda: False
    ask(tmp_path, "exec")
    replace_parts(tmp_path, stack.supervisor, _GOOD)
    assert result(tmp_path).replaced == ("exec",)


def test_a_failed_migration_replaces_nothing(stack: Stack, tmp_path: Path) -> None:
    before = dict(stack.state.pids)
    ask(tmp_path, "exec", "web")
    replace_parts(tmp_path, stack.supervisor, [sys.executable, "-c", "raise SystemExit('no such column')"])
    assert result(tmp_path).is_over
    assert result(tmp_path).error.startswith("The restart ended before exec, web: prepare failed: no such column")
    assert stack.state.pids == before


def test_a_part_that_does_not_come_back_ends_the_restart_and_the_rest_stays(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.ops.actions.stack.probe.answering_nodes", lambda _url, _names: set())
    web = stack.state.pids["web"]
    stack.supervisor.parts["exec"] = Part("exec", (sys.executable, "-c", "raise SystemExit('cannot import')"))
    ask(tmp_path, "exec", "web")
    replace_parts(tmp_path, stack.supervisor, _GOOD)
    assert result(tmp_path).error.startswith("The restart ended before exec, web: exec ends right after it starts: cannot import")
    assert stack.state.pids["web"] == web
    assert "web" in stack.supervisor.healthy


def test_one_restart_at_a_time(tmp_path: Path) -> None:
    ask(tmp_path, "web")
    with pytest.raises(StackError, match="A restart of this stack is under way"):
        ask(tmp_path, "web")
    forget_restart(tmp_path)
    ask(tmp_path, "web")
    assert [file.name for file in tmp_path.iterdir()] == ["restart.json"]


@pytest.mark.django_db  # what is sealed is looked at once more in the end
def test_the_command_follows_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, StackState(pids={"supervisor": (1, 1.0), "web": (2, 1.0), "exec": (3, 1.0)}))
    told = []

    def work(_seconds: float) -> None:
        """The supervisor, one step each time the command waits."""
        from apps.ops.actions.stack.keep_restart import save_restart

        restart = result(tmp_path)
        left = [name for name in restart.parts if name not in restart.replaced]
        save_restart(tmp_path, restart.after(left[0]) if left else restart.ended())

    monkeypatch.setattr("time.sleep", work)
    with lock_home(tmp_path):
        assert restart_parts(home=tmp_path, parts=(), report=told.append) == ("exec", "web")
        with pytest.raises(StackError, match="postgres can't be replaced here; these can: exec, web"):
            restart_parts(home=tmp_path, parts=("postgres",), report=told.append)
    assert [(news.part, news.note) for news in told] == [("exec", "replaced"), ("web", "replaced")]
    with pytest.raises(StackError, match="No stack runs in"):
        restart_parts(home=tmp_path, parts=(), report=told.append)
