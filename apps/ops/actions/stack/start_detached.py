"""Start a stack in a process of its own and follow its news until it is healthy."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from apps.lib.processes import kill_group, start_process
from apps.ops.actions.stack.supervise import Report
from apps.ops.domain.stack import Addresses, PartReport, PartState, StackError

_STOP_SECONDS = 90.0


def news_line(news: PartReport | Addresses | StackError) -> str:
    """One piece of news as the supervisor writes it into its pipe."""
    if isinstance(news, PartReport):
        return json.dumps({"part": asdict(news)}) + "\n"
    if isinstance(news, Addresses):
        return json.dumps({"ready": asdict(news)}) + "\n"
    return json.dumps({"error": str(news)}) + "\n"


def start_detached(*, project: Path, home: Path, report: Report, ends_with_us: bool = False) -> tuple[subprocess.Popen[bytes], Addresses]:
    """Returns when every part is healthy; StackError (and nothing left running) when the stack could not start."""
    (home / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
    home.chmod(0o700)
    reader, writer = os.pipe()
    with (home / "logs" / "supervisor.log").open("ab") as log, os.fdopen(reader) as news:
        process = start_process(
            [sys.executable, str(project / "manage.py"), "up", "--news-fd", str(writer)],
            environment=dict(os.environ),
            folder=project,
            output=log,
            death_signal=signal.SIGTERM if ends_with_us else None,
            pass_fds=(writer,),
        )
        os.close(writer)
        with _stopped_when_left(process):
            return process, _follow(news, report)


def _follow(news: Iterator[str], report: Report) -> Addresses:
    for line in news:
        piece = json.loads(line)
        if "ready" in piece:
            return Addresses(**piece["ready"])
        if "error" in piece:
            raise StackError(piece["error"])
        part = piece["part"]
        report(PartReport(part=part["part"], state=PartState(part["state"]), log=part["log"], note=part["note"]))
    raise StackError("The stack ended while it was starting; see logs/supervisor.log in its home.")


@contextmanager
def _stopped_when_left(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whoever gives up waiting (Ctrl-C, an error) must not leave a half-started stack."""
    try:
        yield
    except BaseException:
        stop_supervisor(process)
        raise


def stop_supervisor(process: subprocess.Popen[bytes]) -> None:
    """Ask it to take everything down and wait for its end; its children get the kernel's death signal should it have to be killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        process.wait()
