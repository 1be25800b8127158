"""The supervisor with small real processes in place of the platform's."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from apps.lib.ports import free_port
from apps.lib.processes import is_same_process
from apps.ops.actions.stack.end_leftovers import end_leftovers
from apps.ops.actions.stack.supervise import StopAskedError, Supervisor
from apps.ops.domain.parts import Part
from apps.ops.domain.stack import PartReport, PartState, StackError, StackState

_WEB = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
_STUBBORN_WITH_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


class Stack:
    """A supervisor whose news are kept, and which is asked to stop when `stop_when` says so."""

    def __init__(self, home: Path) -> None:
        self.news: list[PartReport] = []
        self.port = free_port()
        self.stop_when = lambda: False
        environment = {"AIPLATFORM_PORT": str(self.port), "AIPLATFORM_FLOWER_PORT": "1", "REDIS_URL": "redis://127.0.0.1:1/0"}
        self.state = StackState(environment=environment, secrets={"model": "m", "admin": "a"})
        self.supervisor = Supervisor(
            home=home,
            project=Path.cwd(),
            state=self.state,
            report=self.news.append,
            is_asked_to_stop=lambda: self.stop_when(),  # noqa: PLW0108 -- tests replace stop_when later
            save=lambda: None,
        )

    def web(self) -> Part:
        return Part("web", (sys.executable, "-c", _WEB, str(self.port)))

    def states(self, name: str) -> list[PartState]:
        return [news.state for news in self.news if news.part == name]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path)
    yield made
    made.supervisor.take_down(is_urgent=lambda: True)


def test_a_part_is_healthy_when_it_answers_and_stops_when_asked(stack: Stack) -> None:
    stack.supervisor.start([stack.web()])
    stack.supervisor.wait_until_healthy(["web"])
    pid, started_at = stack.state.pids["web"]
    assert is_same_process(pid, started_at)
    stack.supervisor.take_down(is_urgent=lambda: False)
    assert not is_same_process(pid, started_at)
    assert stack.states("web") == [PartState.STARTING, PartState.HEALTHY, PartState.STOPPING, PartState.STOPPED]


def test_a_part_that_dies_is_started_again_and_it_is_said(stack: Stack) -> None:
    stack.supervisor.start([stack.web()])
    stack.supervisor.wait_until_healthy(["web"])
    first = stack.state.pids["web"]
    os.kill(first[0], signal.SIGKILL)
    stack.stop_when = lambda: stack.states("web").count(PartState.HEALTHY) == 2
    stack.supervisor.watch()
    assert stack.state.pids["web"] != first
    told = [news for news in stack.news if news.state is PartState.RESTARTING]
    assert [news.note for news in told] == ["ended with signal 9; starts again in 0.5 s"]


def test_a_part_that_keeps_dying_is_an_error_with_its_last_words(stack: Stack) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such engine')")
    stack.supervisor.start([Part("web", command)])
    with pytest.raises(StackError, match=r"web ends right after it starts: no such engine \(log: .*web\.log\)"):
        stack.supervisor.wait_until_healthy(["web"])


def test_a_part_that_will_not_end_is_killed_with_its_children(stack: Stack) -> None:
    stack.supervisor.start([Part("exec", (sys.executable, "-c", _STUBBORN_WITH_CHILD), stop_seconds=0.3)])
    log = stack.supervisor.log_path("exec")
    stack.supervisor.wait_until(lambda: log.read_text().endswith("\n"), names=["exec"])
    child = psutil.Process(int(log.read_text()))
    stack.supervisor.take_down(is_urgent=lambda: False)
    assert stack.news[-1].note == "had to be killed"
    gone, alive = psutil.wait_procs([child], timeout=60)
    assert gone or alive[0].status() == psutil.STATUS_ZOMBIE


def test_a_failed_preparation_is_an_error_with_its_last_words(stack: Stack) -> None:
    with pytest.raises(StackError, match="prepare failed: no table today"):
        stack.supervisor.run_once("prepare", [sys.executable, "-c", "raise SystemExit('no table today')"])


def test_asked_to_stop_while_preparing_ends_the_preparation(stack: Stack) -> None:
    stack.stop_when = lambda: True
    with pytest.raises(StopAskedError):
        stack.supervisor.run_once("prepare", [sys.executable, "-c", "import time; time.sleep(600)"])


def test_each_part_gets_only_the_secrets_that_it_needs(stack: Stack) -> None:
    environments = {role: stack.supervisor._environment(role) for role in ("postgres", "web", "model", "flower", "prepare")}
    assert "REDIS_URL" not in environments["postgres"]
    holders = {
        name: {role for role, environment in environments.items() if environment.get(name)}
        for name in ("AIPLATFORM_LOCAL_MODEL_KEY", "AIPLATFORM_ADMIN_PASSWORD", "AIPLATFORM_FLOWER_PASSWORD")
    }
    assert holders == {
        "AIPLATFORM_LOCAL_MODEL_KEY": {"model", "prepare"},
        "AIPLATFORM_ADMIN_PASSWORD": {"prepare"},
        "AIPLATFORM_FLOWER_PASSWORD": {"flower"},
    }


def test_flowers_password_is_its_own_once_it_was_changed(stack: Stack) -> None:
    assert stack.supervisor._environment("flower")["AIPLATFORM_FLOWER_PASSWORD"] == stack.state.secrets["admin"]
    stack.supervisor.take_environment({"AIPLATFORM_FLOWER_PASSWORD": "second"})
    assert stack.supervisor._environment("flower")["AIPLATFORM_FLOWER_PASSWORD"] == "second"
    assert "AIPLATFORM_FLOWER_PASSWORD" not in stack.supervisor._environment("web")


def test_leftovers_end_only_while_they_are_the_same_processes(stack: Stack) -> None:
    stack.supervisor.start([stack.web()])
    pid, started_at = stack.state.pids["web"]
    records = StackState(pids={"web": (pid, started_at), "exec": (os.getpid(), 12.0), "supervisor": (os.getpid(), started_at)})
    assert end_leftovers(records) == ["web"]
    assert records.pids == {}
    assert not is_same_process(pid, started_at)
