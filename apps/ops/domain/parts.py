"""The parts of a stack: how each is started, how it is asked to stop, and in which order."""

import signal
from dataclasses import dataclass
from math import ceil
from pathlib import Path

WORKERS = ("exec-interactive", "exec", "ingest", "control")
# Web first, so that nobody is let in any more; then those who finish what is in the air; the stores last.
STOP_STAGES: tuple[tuple[str, ...], ...] = (("web",), WORKERS, ("beat", "flower", "model"), ("valkey",), ("postgres",))
_LOCAL_MODEL_STOP_SECONDS = 2.0
_STOP_SECONDS = 10.0
_FLOWER_STOP_SECONDS = 3.0
_LOW_PRIORITY = 10
_WORKER_OPTIONS = ("--without-gossip", "--without-mingle", "--loglevel", "INFO")


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack. `nice` is added to ours; `stop_seconds` is how long it may take to end by itself."""

    name: str
    command: tuple[str, ...]
    nice: int = 0
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = _STOP_SECONDS
    unprivileged: bool = False


def postgres_part(command: list[str]) -> Part:
    """SIGINT is its fast stop: it ends the sessions of clients that stay on."""
    return Part("postgres", tuple(command), stop_signal=signal.SIGINT, unprivileged=True)


def valkey_part(command: list[str]) -> Part:
    return Part("valkey", tuple(command))


def model_part(*, python: str, manage: str, port: int) -> Part:
    """It keeps no state and may hang while it stops, so it gets two seconds."""
    command = (python, manage, "serve_local_model", "--port", str(port))
    return Part("model", command, nice=_LOW_PRIORITY, stop_signal=signal.SIGTERM, stop_seconds=_LOCAL_MODEL_STOP_SECONDS)


def platform_parts(
    *, python: str, project: Path, home: Path, port: int, flower_port: int, cores: int, worker_stop_seconds: float
) -> tuple[Part, ...]:
    """Web, the worker sets, beat and Flower; each the same program as in production."""
    celery: tuple[str, ...] = (python, "-m", "celery", "-A", "aiplatform")
    web: tuple[str, ...] = (python, "-m", "uvicorn", "aiplatform.asgi:application", "--host", "127.0.0.1", "--port", str(port))
    # A request's head may have this much, however it is cut on its way; uvicorn's own limit of 16 kB counts only heads that came in pieces.
    web += ("--h11-max-incomplete-event-size", str(64 << 10))
    # Streams that are open, and calls that are waited for, may end.
    web += ("--timeout-graceful-shutdown", str(ceil(worker_stop_seconds)), "--no-access-log", "--no-server-header")
    web += ("--log-config", str(project / "aiplatform" / "uvicorn-log.json"))

    def worker(name: str, queues: str, pool: str, processes: int, nice: int) -> Part:
        command = (*celery, "worker", "-n", f"{name}@%h", "-Q", queues, "--pool", pool, "-c", str(processes), *_WORKER_OPTIONS)
        return Part(name, command, nice=nice, stop_seconds=worker_stop_seconds)

    return (
        Part("web", web, stop_seconds=worker_stop_seconds + _STOP_SECONDS),
        worker("exec-interactive", "interactive", "prefork", 2, 0),
        # One child more than pumps are needed, so that a pump that drains never blocks one that claims.
        worker("exec", "default,bulk", "prefork", cores + 1, _LOW_PRIORITY),
        worker("ingest", "ingest", "prefork", 2, _LOW_PRIORITY),
        worker("control", "control", "threads", 4, _LOW_PRIORITY),
        Part("beat", (*celery, "beat", "-n", "beat@%h", "--schedule", str(home / "beat-schedule"), "--pidfile=", "--loglevel", "INFO")),
        Part(
            "flower",
            (*celery, "flower", f"--conf={project / 'flowerconfig.py'}", f"--port={flower_port}"),
            stop_seconds=_FLOWER_STOP_SECONDS,
        ),
    )
