"""How fast a batch file becomes items: validation and loading of 200,000 lines (200 MB), with memory and WAL.

    python -m bench ingest [--quick] [--lines 200000] [--line-bytes 1000]

Beside it stands what a bare reader takes that parses every line with orjson and keeps nothing. Prints a table, and writes
bench/results/<date>-ingest.json.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import psutil
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.files.actions import create_file
from apps.jobs.actions.finish_job import finish_job
from apps.jobs.actions.submit_batch import submit_batch
from apps.jobs.actions.validate_job import validate_job
from apps.jobs.models import Item
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from bench.harness import CHAT, MODEL, declare_model, forget_work, prepare
from bench.meter import own_peak_rss, wal_bytes
from bench.report import print_table, write_results

NO_PROVIDER = "http://127.0.0.1:9/v1"  # nothing is called here
WORDS = [f"{random.Random(n).getrandbits(40):x}" for n in range(5000)]


def write_input(stream: BinaryIO, lines: int, line_bytes: int) -> int:
    """Lines of different words, so that compression finds no more than in real prompts."""
    chance = random.Random(1)
    size = 0
    for number in range(lines):
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": ""}]}
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
    peak_before, started = own_peak_rss(), time.perf_counter()
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
        "rss_growth_bytes": max(own_peak_rss() - max(rss, peak_before), psutil.Process().memory_info().rss - rss),
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
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines")
    arguments = parser.parse_args()
    prepare()
    workspace, _ = declare_model(NO_PROVIDER)
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        path = Path(folder) / "input.jsonl"
        with path.open("wb") as stream:
            size = write_input(stream, arguments.lines // (10 if arguments.quick else 1), arguments.line_bytes)
        bare = bare_seconds(path)
        found = measure(workspace, path)
    forget_work()
    results = {
        "input_bytes": size,
        **found,
        "lines_per_second": found["lines"] / found["seconds"],
        "cpu_microseconds_per_line": found["cpu_seconds"] / found["lines"] * 1e6,
        "wal_bytes_per_line": found["wal_bytes"] / found["lines"],
        "finish_lines_per_second": found["lines"] / found["finish_seconds"],
        "bare_parse_seconds": bare,
        "times_bare_parse": found["seconds"] / bare,
    }
    show(results)
    write_results("ingest", results, quick=arguments.quick)


def show(results: dict[str, Any]) -> None:
    figures = {
        "input": f"{results['lines']:,} lines, {results['input_bytes'] / 1e6:.0f} MB",
        "validated and loaded in": f"{results['seconds']:.1f} s",
        "lines a second": f"{results['lines_per_second']:,.0f}",
        "memory grew by": f"{results['rss_growth_bytes'] / 1e6:.0f} MB",
        "CPU a line": f"{results['cpu_microseconds_per_line']:.0f} microseconds",
        "WAL a line": f"{results['wal_bytes_per_line']:,.0f} bytes",
        "times a bare orjson reader": f"{results['times_bare_parse']:.1f}",
        "output lines a second when finishing": f"{results['finish_lines_per_second']:,.0f}",
    }
    print_table([{"what": name, "figure": value} for name, value in figures.items()])
