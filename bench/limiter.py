"""How much of a provider's limits is used, and how seldom it says no: the platform's pumps together, beside a usual client.

    python -m bench limiter [--quick] [--only capacity|apart|halved|cost]

The simulated provider counts a sliding minute of requests and tokens. "Capacity used" is the mean share of that minute that is in
use, looked at twice a second from the end of the first minute on, of whichever limit is nearer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Self

import psutil
from django.conf import settings

from apps.jobs.actions import ring
from apps.jobs.models import Job
from apps.providers.models import Provider
from bench import ROOT
from bench.gate_cost import gate_cost
from bench.harness import declare_model, forget_work, make_job, prepare, wait_until_ended
from bench.meter import read_meter
from bench.processes import get_json, process, simulator, stack_parts
from bench.report import print_table, write_results

PUMPS = 4
REQUESTS, TOKENS = 6000, 2_000_000
OUTPUT = 800_000
SMALL = [30]
# Answers of 100 to 1,100 tokens: 620 a call, with its input, so that tokens are the nearer limit.
MIXED = Random(1).sample(range(100, 1101, 10), 97)
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """What the provider has counted by then, and what its last minute holds."""

    at: float
    answered: int
    throttled: int
    requests: float
    tokens: float
    output: float


class Watch(threading.Thread):
    """Looks at the provider's counts twice a second, for as long as the block runs."""

    def __init__(self, base_url: str) -> None:
        super().__init__(name="watch", daemon=True)
        self.root = base_url.removesuffix("/v1")
        self.looks: list[Look] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(_LOOK_SECONDS):
            self.looks.append(self.look())

    def look(self) -> Look:
        stats = get_json(f"{self.root}/sim/stats")
        status, minute = stats["by_status"], stats["last_minute"].get("", {})
        return Look(
            at=time.monotonic(),
            answered=status.get("200", 0),
            throttled=status.get("429", 0),
            requests=minute.get("requests", 0) / (minute.get("requests_per_minute") or float("inf")),
            tokens=minute.get("tokens", 0) / (minute.get("tokens_per_minute") or float("inf")),
            output=minute.get("output_tokens", 0) / (minute.get("output_tokens_per_minute") or float("inf")),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


def share_throttled(looks: Sequence[Look]) -> float:
    """429s among all answers between the first and the last of these."""
    answered, throttled = looks[-1].answered - looks[0].answered, looks[-1].throttled - looks[0].throttled
    return throttled / max(1, answered + throttled)


def capacity(looks: Sequence[Look]) -> dict[str, Any]:
    """From the end of the first minute on."""
    steady = [look for look in looks if look.at >= looks[0].at + 60]
    requests, tokens, output = (sum(getattr(look, name) for look in steady) / len(steady) for name in ("requests", "tokens", "output"))
    return {
        "capacity_used": round(max(requests, tokens, output), 4),
        "of_requests": round(requests, 4),
        "of_tokens": round(tokens, 4),
        **({"of_output": round(output, 4)} if output else {}),
        "share_of_429": round(share_throttled(looks), 5),
        "answers": looks[-1].answered,
        "throttled": looks[-1].throttled,
    }


def timeline(looks: Sequence[Look]) -> list[tuple[int, int]]:
    """Answers and 429s in each ten seconds, from the first look on."""
    found = []
    for step in range(int(looks[-1].at - looks[0].at) // 10):
        part = [look for look in looks if step * 10 <= look.at - looks[0].at < step * 10 + 10.6]
        found.append((part[-1].answered - part[0].answered, part[-1].throttled - part[0].throttled))
    return found


def tell(base_url: str, **values: Any) -> None:
    """Change the provider's behaviour."""
    request = urllib.request.Request(base_url.removesuffix("/v1") + "/sim/script", data=json.dumps(values).encode())
    urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def workers(folder: Path, *, pumps: int = PUMPS, app: str = "aiplatform") -> Iterator[psutil.Process]:
    """The worker set that runs batches, with so many pump processes; `app` names another Celery app."""
    command = list(stack_parts(folder)["exec"].command)
    command[command.index("-c") + 1] = str(pumps + 1)
    command[command.index("-A") + 1] = app
    environment = {"AIPLATFORM_ROLE": "exec", "LOG_LEVEL": "INFO", "JOBS_PUMPS_PER_HOST": str(pumps), "JOBS_IDLE_SECONDS": "60"}
    settings.JOBS_PUMPS_PER_HOST = pumps  # ours, so that as many are rung for
    with process(command, log=folder / "exec.log", ready=" ready.", environment=environment) as worker:
        yield worker


def limited_job(base_url: str, *, items: int, sizes: Sequence[int]) -> Job:
    """A job of `items`, and a provider with the limits in its row."""
    forget_work()
    workspace, model = declare_model(base_url)
    Provider.objects.filter(name="bench").update(requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)
    job = make_job(workspace, model, items=items, prefix=lambda n: f"[[sim tokens={sizes[n % len(sizes)]}]] ")
    tell(base_url, requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)
    return job


def measure_platform(what: str, sizes: Sequence[int], folder: Path, *, seconds: float) -> dict[str, Any]:
    with simulator(latency="fixed:200", folder=folder) as (base_url, _), workers(folder) as worker:
        job = limited_job(base_url, items=int(seconds * REQUESTS / 60) + 1000, sizes=sizes)
        ring(lane="default", job_id=job.id)
        with Watch(base_url) as watch:
            time.sleep(seconds)
            pumps = sum(child.status() != psutil.STATUS_ZOMBIE for child in worker.children())
        Job.objects.filter(id=job.id).update(status="paused")
    return {"what": f"platform, {PUMPS} pumps, {what}", "worker_processes": pumps, **capacity(watch.looks)}


def measure_apart(folder: Path, *, seconds: float) -> dict[str, Any]:
    """A provider that speaks Anthropic's language and counts output apart, which is the nearest limit; the row says the same."""
    limits = {"requests_per_minute": REQUESTS, "input_tokens_per_minute": TOKENS, "output_tokens_per_minute": OUTPUT}
    with simulator(latency="fixed:200", folder=folder) as (base_url, _), workers(folder):
        job = limited_job(base_url, items=int(seconds * OUTPUT / 600 / 60) + 1000, sizes=MIXED)
        Provider.objects.filter(name="bench").update(kind="anthropic", tokens_per_minute=None, **limits)
        tell(base_url, tokens_per_minute=None, **limits)
        ring(lane="default", job_id=job.id)
        with Watch(base_url) as watch:
            time.sleep(seconds)
        Job.objects.filter(id=job.id).update(status="paused")
        Provider.objects.filter(name="bench").update(kind="openai", input_tokens_per_minute=None, output_tokens_per_minute=None)
    return {"what": f"platform, {PUMPS} pumps, mixed calls, output counted apart", **capacity(watch.looks)}


def measure_peer(what: str, sizes: Sequence[int], folder: Path, *, seconds: float) -> dict[str, Any]:
    """The OpenAI SDK and aiolimiter in one process that has the whole limit for itself."""
    with simulator(latency="fixed:200", folder=folder) as (base_url, _):
        tell(base_url, requests_per_minute=REQUESTS, tokens_per_minute=TOKENS)
        command = [sys.executable, "-m", "bench.peer_limiter", base_url, str(REQUESTS), str(TOKENS), str(seconds)]
        with Watch(base_url) as watch:
            subprocess.run([*command, ",".join(map(str, sizes))], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return {"what": f"OpenAI SDK + aiolimiter, 1 process, {what}", "worker_processes": 1, **capacity(watch.looks)}


def measure_halved(what: str, folder: Path, *, operator: bool, before: float, after: float) -> dict[str, Any]:
    """The provider halves its limits while a job runs; `operator`: and the row is edited at the same moment."""
    with simulator(latency="fixed:200", folder=folder) as (base_url, _), workers(folder):
        job = limited_job(base_url, items=int((before + after) * REQUESTS / 60) + 1000, sizes=SMALL)
        ring(lane="default", job_id=job.id)
        with Watch(base_url) as watch:
            time.sleep(before)
            halved_at = time.monotonic()
            if operator:
                provider = Provider.objects.get(name="bench")
                provider.requests_per_minute, provider.tokens_per_minute = REQUESTS // 2, TOKENS // 2
                provider.save()
            tell(base_url, requests_per_minute=REQUESTS // 2, tokens_per_minute=TOKENS // 2)
            time.sleep(after)
        Job.objects.filter(id=job.id).update(status="paused")
    looks = [look for look in watch.looks if look.at >= halved_at]
    throttled = [later.at - halved_at for earlier, later in pairwise(looks) if later.throttled > earlier.throttled]
    late = [look for look in looks if look.at >= halved_at + 15]
    end = [look for look in looks if look.at >= halved_at + max(60.0, after - 60)]
    return {
        "what": what,
        "answers_and_429_by_10_s": timeline(looks),
        "throttled_in_first_15_s": looks[-1].throttled - looks[0].throttled - (late[-1].throttled - late[0].throttled),
        "share_of_429_after_15_s": round(share_throttled(late), 5),
        "last_429_after_seconds": round(max(throttled, default=0.0), 1),
        "capacity_used_at_the_end": round(max(sum(look.requests for look in end), sum(look.tokens for look in end)) / len(end), 4),
    }


def measure_cost(folder: Path, *, items: int) -> dict[str, Any]:
    """Items a second without any limit, with the gate and without it in turn, on the same machine and the same minute."""
    apps = ("bench.ungated", "aiplatform")
    rates: dict[str, list[float]] = {app: [] for app in apps}
    cpu: dict[str, list[float]] = {app: [] for app in apps}
    for _ in range(3):
        for app in apps:
            with simulator(latency="fixed:50", folder=folder) as (base_url, _), workers(folder, pumps=2, app=app) as worker:
                forget_work()
                workspace, model = declare_model(base_url)
                Provider.objects.filter(name="bench").update(requests_per_minute=None, tokens_per_minute=None)
                warm = make_job(workspace, model, items=1000)
                ring(lane="default", job_id=warm.id)
                wait_until_ended(warm, seconds=60)
                job = make_job(workspace, model, items=items)
                meter = read_meter(worker)
                ring(lane="default", job_id=job.id)
                wait_until_ended(job, seconds=300)
                ended = read_meter(worker)
                rates[app].append(items / (ended.at - meter.at))
                cpu[app].append((ended.worker_cpu - meter.worker_cpu) / items * 1000)
    return {
        "what": "no limits: with the gate, and without",
        "items_per_second_gated": [round(rate) for rate in rates["aiplatform"]],
        "items_per_second_ungated": [round(rate) for rate in rates["bench.ungated"]],
        "gated_is_times": round(sum(rates["aiplatform"]) / sum(rates["bench.ungated"]), 3),
        "worker_cpu_ms_gated": round(sum(cpu["aiplatform"]) / 3, 3),
        "worker_cpu_ms_ungated": round(sum(cpu["bench.ungated"]) / 3, 3),
    }


def measure_capacities(folder: Path, *, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for what, sizes in (("equal calls", SMALL), ("mixed calls", MIXED)):
        rows.append(measure_platform(what, sizes, folder, seconds=seconds))
        try:
            rows.append(measure_peer(what, sizes, folder, seconds=seconds))
        except subprocess.CalledProcessError:
            print("the client beside it needs aiolimiter: pip install aiolimiter", file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("capacity", "apart", "halved", "cost"))
    arguments = parser.parse_args()
    quick = arguments.quick
    prepare()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-limiter-") as name:
        folder = Path(name)
        if arguments.only in {None, "cost"}:
            results["gate"] = gate_cost(calls=2000 if quick else 50_000)
            print_table(results["gate"])
            results["throughput"] = measure_cost(folder, items=2000 if quick else 20_000)
            print_table([results["throughput"]])
        if arguments.only in {None, "capacity"}:
            results["capacity"] = measure_capacities(folder, seconds=75 if quick else 180)
            print_table(results["capacity"])
        if arguments.only in {None, "apart"}:
            results["apart"] = [measure_apart(folder, seconds=75 if quick else 180)]
            print_table(results["apart"])
        if arguments.only in {None, "halved"}:
            length = {"before": 20.0 if quick else 70.0, "after": 70.0 if quick else 150.0}
            results["halved"] = [
                measure_halved("halved by the provider and in the row", folder, operator=True, **length),
                measure_halved("halved by the provider alone", folder, operator=False, **length),
            ]
            print_table(results["halved"])
    forget_work()
    write_results("limiter" if arguments.only is None else f"limiter-{arguments.only}", results, quick=quick)
