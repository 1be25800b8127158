"""A platform of its own for measuring latency: on free ports, with its measures and dated results.

A database of its own is made beside the one of DATABASE_URL (an embedded Postgres without that); queues are those of
REDIS_URL, which no other stack may use meanwhile (an embedded Valkey without it). Everything is ended and removed on the way out.
"""

import base64
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from apps.lib.embedded import (
    PostgresServer,
    ValkeyServer,
    answers_ping,
    answers_sql,
    init_postgres,
    open_database,
    start_postgres,
    start_valkey,
    wait_until,
)
from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from apps.ops.domain.parts import Part, platform_parts

ROOT = Path(__file__).resolve().parent.parent
_SAMPLE_SECONDS = 0.2


class Stack:
    """A running platform: its processes by name, its addresses, and what they cost."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self._stack = stack
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.peak_rss: dict[str, int] = {}
        self.port = free_port()
        self.provider_port = free_port(taken=[self.port])
        self.url = f"http://127.0.0.1:{self.port}"
        self.provider_url = f"http://127.0.0.1:{self.provider_port}/v1"

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py; its output."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    def start_provider(self) -> None:
        """The simulator, which takes 50 ms for an answer unless the prompt says otherwise."""
        command = (sys.executable, str(ROOT / "manage.py"), "simulate_provider", "--port", str(self.provider_port), "--latency", "fixed:50")
        self._start("provider", command, {})

    def start(self, *names: str, environment: Mapping[str, str] | None = None) -> None:
        """Start parts of the platform with the flags of a real stack."""
        parts = {part.name: part for part in self._parts()}
        for name in names:
            self._start(name, parts[name].command, {"AIPLATFORM_ROLE": name, **(environment or {})}, nice=parts[name].nice)

    def _parts(self) -> tuple[Part, ...]:
        return platform_parts(
            python=sys.executable, project=ROOT, home=self.home, port=self.port, flower_port=self.port + 1,
            cores=os.cpu_count() or 1, worker_stop_seconds=20,
        )  # fmt: skip

    def _start(self, name: str, command: tuple[str, ...], environment: Mapping[str, str], *, nice: int = 0) -> None:
        log = self._stack.enter_context((self.home / f"{name}.log").open("ab"))
        process = start_process(command, environment={**os.environ, **environment}, folder=ROOT, output=log, nice=nice)
        self.processes[name] = process
        self._stack.callback(self.stop, name)

    def stop(self, name: str) -> None:
        """End a part, as a stack does; nothing happens when it has ended."""
        process = self.processes.pop(name, None)
        if process:
            stop_process(process, stop_signal=signal.SIGTERM, grace_seconds=20)

    def cpu_seconds(self, name: str) -> float:
        """What a part has used so far, with its children, also those that have ended."""
        total = 0.0
        for process in self._family(name):
            with _gone_is_nothing():
                times = process.cpu_times()
                total += times.user + times.system
        with _gone_is_nothing():
            times = psutil.Process(self.processes[name].pid).cpu_times()
            total += times.children_user + times.children_system
        return total

    def sample_memory(self) -> None:
        """Note the biggest resident size of a single process of each part so far."""
        for name in list(self.processes):
            for process in self._family(name):
                with _gone_is_nothing():
                    self.peak_rss[name] = max(self.peak_rss.get(name, 0), process.memory_info().rss)

    def _family(self, name: str) -> list[psutil.Process]:
        with _gone_is_nothing():
            root = psutil.Process(self.processes[name].pid)
            return [root, *root.children(recursive=True)]
        return []

    @contextmanager
    def watch_memory(self) -> Iterator[None]:
        """Sample memory in a thread while the block runs."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_SAMPLE_SECONDS):
                self.sample_memory()

        thread = threading.Thread(target=watch, name="memory")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def fetch(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a query on a connection of its own."""
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, application_name="bench") as connection:
            return connection.execute(query.encode(), values).fetchall()

    def wal_bytes(self) -> int:
        """How much Postgres has written to its log so far."""
        return int(self.fetch("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


@contextmanager
def _gone_is_nothing() -> Iterator[None]:
    try:
        yield
    except (psutil.NoSuchProcess, KeyError):
        return


@contextmanager
def running_stack() -> Iterator[Stack]:
    """A migrated, empty platform with its provider; start the parts that you need. Django is set up when it yields."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="aiplatform-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        (home / "static").mkdir()
        os.environ |= {
            "AIPLATFORM_HOME": str(home),
            "AIPLATFORM_ROLE": "command",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "AIPLATFORM_ENCRYPTION_KEYS": "bench:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "aiplatform.settings",
        }
        if not os.environ.get("REDIS_URL"):
            os.environ["REDIS_URL"] = _run_valkey(home, stack)
        os.environ["DATABASE_URL"] = _database_of_its_own(stack) if os.environ.get("DATABASE_URL") else _run_postgres(home, stack)
        platform_ = Stack(home, stack)
        platform_.manage("migrate", "--verbosity", "0")
        _set_up_django()
        platform_.start_provider()
        yield platform_


def _set_up_django() -> None:
    import django  # noqa: PLC0415 -- its settings read the environment, which is complete only now

    django.setup()


def _database_of_its_own(stack: ExitStack) -> str:
    given = os.environ["DATABASE_URL"]
    name = f"bench_{time.time_ns()}"

    def run(statement: str) -> None:
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute(statement.encode())

    run(f"CREATE DATABASE {name}")
    stack.callback(run, f"DROP DATABASE {name} WITH (FORCE)")
    return urlunsplit(urlsplit(given)._replace(path=f"/{name}"))


def _run_postgres(home: Path, stack: ExitStack) -> str:
    server = PostgresServer(data=home / "postgres", port=free_port(), admin_password=secrets.token_hex(16), password=secrets.token_hex(16))
    init_postgres(server)
    process = start_postgres(server, log=stack.enter_context((home / "postgres.log").open("wb")))
    stack.callback(stop_process, process, stop_signal=signal.SIGINT, grace_seconds=10)
    wait_until(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
    open_database(server)
    return server.url()


def _run_valkey(home: Path, stack: ExitStack) -> str:
    server = ValkeyServer(data=home / "valkey", port=free_port(), password=secrets.token_hex(16))
    process = start_valkey(server, log=stack.enter_context((home / "valkey.log").open("wb")))
    stack.callback(stop_process, process, stop_signal=signal.SIGTERM, grace_seconds=10)
    wait_until(lambda: answers_ping(server.url), process=process, what="Valkey")
    return server.url


# --- rows -------------------------------------------------------------------------------------------------------


def make_caller(workspace: str = "bench") -> str:
    """A workspace with a key of all scopes; its secret."""
    from apps.accounts.actions import create_api_key, ensure_workspace  # noqa: PLC0415 -- Django must be set up

    return create_api_key(workspace_id=ensure_workspace(name=workspace).id, name="bench").secret


def make_model(name: str, *, base_url: str, upstream_model: str) -> None:
    """A model with one target at the provider of `base_url`."""
    from apps.providers.models import Model, Provider, Target  # noqa: PLC0415 -- Django must be set up

    provider = Provider.objects.get_or_create(name="bench", defaults={"base_url": base_url})[0]
    Target.objects.create(model=Model.objects.create(name=name), provider=provider, upstream_model=upstream_model)


def make_batch(items: int, *, model: str, workspace: str = "bench", lane: str = "bulk") -> Any:
    """A batch of `items` chat requests, validated and running, its pumps rung for; the job."""
    from django.utils import timezone  # noqa: PLC0415 -- Django must be set up

    from apps.accounts.actions import ensure_workspace  # noqa: PLC0415 -- as above
    from apps.files.actions import create_file  # noqa: PLC0415 -- as above
    from apps.jobs.actions import submit_batch, validate_job  # noqa: PLC0415 -- as above

    path = "/v1/chat/completions"
    workspace_id = ensure_workspace(name=workspace).id
    with tempfile.TemporaryFile() as stream:
        for number in range(items):
            body = {"model": model, "messages": [{"role": "user", "content": f"Say hello to number {number}."}]}
            stream.write(json.dumps({"custom_id": f"r-{number}", "method": "POST", "url": path, "body": body}).encode() + b"\n")
        stream.seek(0)
        file = create_file(
            workspace_id=workspace_id, api_key_id=None, purpose="batch", filename="bench.jsonl", content=stream,
            expires_after_seconds=None, now=timezone.now(),
        )  # fmt: skip
    values = {"input_file_id": file.public_id, "endpoint": path, "completion_window": "24h", "metadata": {"priority": lane}}
    job = submit_batch(workspace_id=workspace_id, api_key_id=None, values=values, now=timezone.now())
    validate_job(job_id=job.id, clock=timezone.now)
    return job


# --- results ----------------------------------------------------------------------------------------------------


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p90, p99 and the worst, in milliseconds."""
    ordered = sorted(seconds)
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 1) for name, part in
            (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("max_ms", 1.0))}  # fmt: skip


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def write_result(bench: str, values: Mapping[str, Any]) -> Path:
    """Write bench/results/<date>-<bench>.json."""
    now = datetime.now(UTC)
    path = ROOT / "bench" / "results" / f"{now:%Y-%m-%d}-{bench}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"bench": bench, "at": now.isoformat(timespec="seconds"), **values}, indent=2) + "\n")
    return path


def print_table(rows: list[tuple[str, ...]]) -> None:
    """The first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
