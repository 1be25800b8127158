"""Keep a stack's processes: start them in order, watch them, start again the ones that die, end them all.

Everything happens in the one thread that calls this, because the kernel ties a child's death signal to the thread that started it.
"""

import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from apps.lib.embedded import bare_environment
from apps.lib.processes import kill_group, start_process, start_time
from apps.ops.actions.stack.probe import NODES, healthy_parts, takes_messages
from apps.ops.domain.parts import STOP_STAGES, Part
from apps.ops.domain.restarts import Restarts
from apps.ops.domain.stack import PartReport, PartState, StackError, StackState

_TICK_SECONDS = 0.1
_START_SECONDS = 120.0
_CHECK_SECONDS = 10.0
_MISSES = 3
_LOG_BYTES = 50 * 1024 * 1024
_TAIL_BYTES = 4000

_STORES = {"postgres", "valkey"}
# Its own, once somebody has named one; until then the first superuser's.
_FLOWER = "AIPLATFORM_FLOWER_PASSWORD"

Report = Callable[[PartReport], None]
_SETTLE_SECONDS = 8.0


class StopAskedError(Exception):
    """Somebody asked the stack to stop while it was starting."""


class Supervisor:
    """The processes of one stack. `is_asked_to_stop` is looked at between two steps; `save` keeps the state after each change of pids."""

    def __init__(
        self,
        *,
        home: Path,
        project: Path,
        state: StackState,
        report: Report,
        is_asked_to_stop: Callable[[], bool],
        save: Callable[[], None],
    ) -> None:
        self.home = home
        self.project = project
        self.state = state
        self.report = report
        self.is_asked_to_stop = is_asked_to_stop
        self.save = save
        self.parts: dict[str, Part] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts: dict[str, Restarts] = {}
        self.healthy: set[str] = set()
        self.misses: dict[str, int] = {}
        self.kill_at: dict[str, float] = {}
        self.replacing: set[str] = set()

    def log_path(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def take_environment(self, variables: Mapping[str, str]) -> None:
        """What is started from now on has these, and so has the next stack in this home."""
        self.state.environment.update(variables)
        self.save()

    def start(self, parts: Iterable[Part]) -> None:
        """Start these parts, without waiting for them."""
        for part in parts:
            self.parts[part.name] = part
            self.restarts[part.name] = Restarts()
            self._launch(part)
        self.save()

    def wait_until_healthy(self, names: Collection[str]) -> None:
        """Return when each of these does its work."""

        def are_healthy() -> bool:
            self._look_for_health([name for name in names if name not in self.healthy])
            return self.healthy.issuperset(names)

        self.wait_until(are_healthy, names=names)

    def wait_until(self, is_done: Callable[[], bool], *, names: Collection[str], seconds: float = _START_SECONDS) -> None:
        """Watch until `is_done`. StackError when one of the parts that it depends on keeps dying, or after two minutes."""
        deadline = time.monotonic() + seconds
        while not is_done():
            self._tick()
            missing = [name for name in names if name not in self.healthy]
            for name in missing:
                if self.restarts[name].is_hopeless():
                    msg = f"{name} ends right after it starts: {last_line(self.log_path(name))} (log: {self.log_path(name)})"
                    raise StackError(msg)
            if time.monotonic() > deadline:
                msg = f"{', '.join(missing)} did not become healthy within {seconds:.0f} s; see {self.log_path(missing[0])}"
                raise StackError(msg)

    def run_once(self, name: str, command: list[str]) -> None:
        """Run a program to its end, while the parts are watched. StackError when it fails."""
        log_path = self.log_path(name)
        with _open_log(log_path) as log:
            process = start_process(command, environment=self._environment(name), folder=self.project, output=log)
        try:
            while process.poll() is None:
                self._tick()
        finally:
            kill_group(process.pid)
            process.wait()
        if process.returncode:
            msg = f"{name} failed: {last_line(log_path)} (log: {log_path})"
            raise StackError(msg)

    def replace(self, name: str) -> None:
        """End a part as it wishes to be ended, start it anew and return when it is healthy. StackError when it does not become so."""
        self._report(name, PartState.STOPPING, "to be replaced")
        self.restarts[name] = Restarts(start_again_at=None if name in self.processes else time.monotonic())
        self.replacing.add(name)
        self._end(name)
        self.wait_until(lambda: name not in self.replacing, names=[name], seconds=self.parts[name].stop_seconds + _START_SECONDS)
        self.wait_until_healthy([name])

    def watch(self, do_asked: Callable[[], None] = lambda: None) -> None:
        """Look after the parts, and do what is asked for in between, until somebody asks to stop."""
        check_at = time.monotonic() + _CHECK_SECONDS
        try:
            while True:
                self._tick()
                do_asked()
                self._look_for_health([name for name in self.processes if name not in self.healthy and name not in self.kill_at])
                if time.monotonic() >= check_at:
                    self._look_for_deafness()
                    check_at = time.monotonic() + _CHECK_SECONDS
        except StopAskedError:
            return

    def take_down(self, *, is_urgent: Callable[[], bool]) -> None:
        """End what was started, the stores last. Each stage is asked at once and may take as long as its slowest part is allowed."""
        for stage in STOP_STAGES:
            running = {name: self.processes.pop(name) for name in stage if name in self.processes}
            for name, process in running.items():
                self._report(name, PartState.STOPPING)
                if process.poll() is None:
                    process.send_signal(self.parts[name].stop_signal)
            began = time.monotonic()
            for name, process in running.items():
                while process.poll() is None and time.monotonic() - began < self.parts[name].stop_seconds and not is_urgent():
                    time.sleep(_TICK_SECONDS / 2)
                note = "" if process.poll() is not None else "had to be killed"
                kill_group(process.pid)
                process.wait()
                self._report(name, PartState.STOPPED, note)

    def _tick(self) -> None:
        """A short pause, then one look at every process."""
        time.sleep(_TICK_SECONDS)
        if self.is_asked_to_stop():
            raise StopAskedError
        now = time.monotonic()
        for name, part in self.parts.items():
            process = self.processes.get(name)
            if process is not None and now >= self.kill_at.get(name, now + 1):
                kill_group(process.pid)
                process.wait()
            if process is not None and process.poll() is not None:
                self._note_death(name, process, now)
            again_at = self.restarts[name].start_again_at
            if again_at is not None and now >= again_at:
                self._launch(part)
                self.replacing.discard(name)
                self.save()

    def _look_for_deafness(self) -> None:
        """End parts that run but have stopped answering: a worker may live on without its broker connection for ever.

        Not the stores: one that is slow is better than one that is killed. And nobody who can't be heard: while the broker is down,
        pumps go on with the work that is in Postgres.
        """
        asked = self.healthy - _STORES
        answering = healthy_parts(asked, self.state.environment)
        if not takes_messages(self.state.environment["REDIS_URL"]):
            answering |= asked.intersection(NODES)
        for name in asked:
            self.misses[name] = 0 if name in answering else self.misses.get(name, 0) + 1
            if self.misses[name] >= _MISSES:
                self.misses[name] = 0
                self._report(name, PartState.UNHEALTHY, f"has not answered {_MISSES} times in a row; it is ended and started again")
                self._end(name)

    def _end(self, name: str) -> None:
        """Ask a part to end; it is killed when it takes longer than it may."""
        self.healthy.discard(name)
        if name in self.processes:
            self.processes[name].send_signal(self.parts[name].stop_signal)
            self.kill_at[name] = time.monotonic() + self.parts[name].stop_seconds

    def _note_death(self, name: str, process: subprocess.Popen[bytes], now: float) -> None:
        del self.processes[name]
        self.kill_at.pop(name, None)
        self.healthy.discard(name)
        # Its children must not go on beside the next one.
        kill_group(process.pid)
        if name in self.replacing:
            self.restarts[name] = Restarts(start_again_at=now)
            return
        restarts = self.restarts[name] = self.restarts[name].after_death(now)
        delay = (restarts.start_again_at or now) - now
        why = f"signal {-process.returncode}" if process.returncode < 0 else f"code {process.returncode}"
        self._report(name, PartState.RESTARTING, f"ended with {why}; starts again in {delay:.1f} s")

    def _launch(self, part: Part) -> None:
        with _open_log(self.log_path(part.name)) as log:
            process = start_process(
                part.command,
                environment=self._environment(part.name),
                folder=Path("/") if part.unprivileged else self.project,
                output=log,
                nice=part.nice,
                death_signal=part.stop_signal,
                unprivileged=part.unprivileged,
            )
        self.processes[part.name] = process
        self.restarts[part.name] = self.restarts[part.name].after_start(time.monotonic())
        self.state.pids[part.name] = (process.pid, start_time(process.pid) or 0.0)
        self._report(part.name, PartState.STARTING)

    def _look_for_health(self, names: Collection[str]) -> None:
        for name in healthy_parts(names, self.state.environment) if names else ():
            self.healthy.add(name)
            self.restarts[name] = replace(self.restarts[name], has_been_healthy=True)
            self._report(name, PartState.HEALTHY)

    def _environment(self, role: str) -> dict[str, str]:
        """Each part gets the secrets that it needs, and no others."""
        if role in {"postgres", "valkey"}:
            return bare_environment()
        secrets = self.state.secrets
        local_model = {"AIPLATFORM_LOCAL_MODEL_KEY": secrets["model"]}
        of_role = {
            "prepare": {"AIPLATFORM_ADMIN_PASSWORD": secrets["admin"], **local_model},
            "model": local_model,
            "flower": {_FLOWER: self.state.environment.get(_FLOWER) or secrets["admin"]},
        }
        common = {
            "AIPLATFORM_HOME": str(self.home),
            "AIPLATFORM_ROLE": role,
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "aiplatform.settings",
        }
        part = self.parts.get(role)
        # Enough to settle what is given back before this supervisor's patience ends.
        patience = {"JOBS_DRAIN_SECONDS": f"{max(1.0, part.stop_seconds - _SETTLE_SECONDS):g}"} if part else {}
        everybodys = {name: value for name, value in (dict(os.environ) | self.state.environment).items() if name != _FLOWER}
        return patience | everybodys | common | of_role.get(role, {})

    def _report(self, name: str, state: PartState, note: str = "") -> None:
        self.report(PartReport(part=name, state=state, log=str(self.log_path(name)), note=note))


def _open_log(path: Path) -> IO[bytes]:
    """Append; a log of over 50 MB is set aside first, and the one set aside before it is forgotten."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def last_line(path: Path) -> str:
    """What a program said last, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "it wrote nothing"
    return lines[-1][:500] if lines else "it wrote nothing"
