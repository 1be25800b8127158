"""How fast a batch file becomes items: validation and loading of 200,000 lines (200 MB), with memory and WAL.

    DATABASE_URL=... REDIS_URL=... python bench/ingest.py [--lines 200000] [--line-bytes 1000]

Beside it stands what a bare reader takes that parses every line with orjson and keeps nothing. Prints a table, and writes
bench/results/<date>-ingest.json. Works in a workspace of its own and removes it.
"""

import argparse
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

import django  # noqa: E402 -- the path and the settings' name come first

django.setup()

import orjson  # noqa: E402 -- as above
import psutil  # noqa: E402 -- as above
from django.db import connection  # noqa: E402 -- as above
from django.utils import timezone  # noqa: E402 -- as above

from apps.accounts.models import Workspace  # noqa: E402 -- as above
from apps.files.actions import create_file  # noqa: E402 -- as above
from apps.jobs.actions.finish_job import finish_job  # noqa: E402 -- as above
from apps.jobs.actions.submit_batch import submit_batch  # noqa: E402 -- as above
from apps.jobs.actions.validate_job import validate_job  # noqa: E402 -- as above
from apps.jobs.models import Item, Job  # noqa: E402 -- as above
from apps.providers.models import Model  # noqa: E402 -- as above
from apps.traces.actions import store_bodies  # noqa: E402 -- as above
from apps.traces.domain.bodies import make_body  # noqa: E402 -- as above
from apps.traces.models import Body  # noqa: E402 -- as above

CHAT = "/v1/chat/completions"
MODEL = "bench-ingest"
WORDS = [f"{random.Random(n).getrandbits(40):x}" for n in range(5000)]


def write_input(stream: BinaryIO, lines: int, line_bytes: int) -> int:
    """Lines of different words, so that compression finds no more than in real prompts."""
    chance = random.Random(1)
    size = 0
    for number in range(lines):
        body = {"model": MODEL, "messages": [{"role": "user", "content": ""}]}
        line = {"custom_id": f"request-{number}", "method": "POST", "url": CHAT, "body": body}
        missing = line_bytes - len(json.dumps(line)) - 1
        body["messages"][0]["content"] = " ".join(chance.choices(WORDS, k=missing // 11 + 1))[:missing]
        size += stream.write(json.dumps(line).encode() + b"\n")
    stream.flush()
    return size


def bare_seconds(path: Path) -> float:
    """What reading and parsing alone takes."""
    started = time.perf_counter()
    with path.open("rb") as stream:
        for line in stream:
            orjson.loads(line)
    return time.perf_counter() - started


def wal_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return int(cursor.fetchone()[0])


def peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def own_workspace() -> Iterator[Workspace]:
    workspace = Workspace.objects.create(name=f"bench-ingest-{time.time_ns()}")
    model = Model.objects.get_or_create(name=MODEL)[0]
    try:
        yield workspace
    finally:
        for job in Job.objects.filter(workspace=workspace):
            Item.objects.filter(job=job)._raw_delete("default")  # noqa: SLF001 -- by the million, without loading them
        Job.objects.filter(workspace=workspace).delete()
        Body.objects.filter(workspace_id=workspace.id)._raw_delete("default")  # noqa: SLF001 -- as above
        workspace.delete()
        model.delete()


def measure(workspace: Workspace, path: Path) -> dict[str, float | int]:
    """Submit, validate, answer every item by hand, finish; what validation and finishing took."""
    with path.open("rb") as stream:
        file = create_file(
            workspace_id=workspace.id, api_key_id=None, purpose="batch", filename="input.jsonl", content=stream,
            expires_after_seconds=None, now=timezone.now(),
        )  # fmt: skip
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h"}
    job = submit_batch(workspace_id=workspace.id, api_key_id=None, values=request, now=timezone.now())
    rss, wal, cpu = psutil.Process().memory_info().rss, wal_bytes(), time.process_time()
    peak_before, started = peak_rss(), time.perf_counter()
    validate_job(job_id=job.id, clock=timezone.now)
    seconds = time.perf_counter() - started
    job.refresh_from_db()
    if job.status != "running":
        sys.exit(f"The batch is {job.status}: {job.errors}")
    found: dict[str, float | int] = {
        "lines": job.total,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "wal_bytes": wal_bytes() - wal,
        "rss_growth_bytes": max(peak_rss() - max(rss, peak_before), psutil.Process().memory_info().rss - rss),
    }
    answer = make_body(workspace.id, orjson.dumps({"choices": [{"message": {"content": "x" * 500}}]}))
    store_bodies([answer])
    Item.objects.filter(job=job).update(state="done", status_code=200, answer_body_id=answer.id)
    started = time.perf_counter()
    finish_job(job_id=job.id, clock=timezone.now)
    found["finish_seconds"] = time.perf_counter() - started
    job.refresh_from_db()
    if job.status != "completed":
        sys.exit(f"The batch is {job.status} after finishing.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--line-bytes", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder, own_workspace() as workspace:
        path = Path(folder) / "input.jsonl"
        with path.open("wb") as stream:
            size = write_input(stream, arguments.lines, arguments.line_bytes)
        bare = bare_seconds(path)
        found = measure(workspace, path)
    result = {
        "bench": "ingest",
        "at": timezone.now().isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
        "input_bytes": size,
        **found,
        "lines_per_second": found["lines"] / found["seconds"],
        "cpu_microseconds_per_line": found["cpu_seconds"] / found["lines"] * 1e6,
        "wal_bytes_per_line": found["wal_bytes"] / found["lines"],
        "finish_lines_per_second": found["lines"] / found["finish_seconds"],
        "bare_parse_seconds": bare,
        "times_bare_parse": found["seconds"] / bare,
    }
    target = ROOT / "bench" / "results" / f"{timezone.now():%Y-%m-%d}-ingest.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print_table(result)
    print(f"written to {target.relative_to(ROOT)}")


def print_table(result: dict[str, float]) -> None:
    rows = [
        ("input", f"{result['lines']:,} lines, {result['input_bytes'] / 1e6:.0f} MB"),
        ("validated and loaded in", f"{result['seconds']:.1f} s"),
        ("lines a second", f"{result['lines_per_second']:,.0f}"),
        ("memory grew by", f"{result['rss_growth_bytes'] / 1e6:.0f} MB"),
        ("CPU a line", f"{result['cpu_microseconds_per_line']:.0f} microseconds"),
        ("WAL a line", f"{result['wal_bytes_per_line']:,.0f} bytes"),
        ("times a bare orjson reader", f"{result['times_bare_parse']:.1f}"),
        ("output lines a second when finishing", f"{result['finish_lines_per_second']:,.0f}"),
    ]
    for name, value in rows:
        print(f"| {name:<38} | {value:>26} |")


if __name__ == "__main__":
    main()
