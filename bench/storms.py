"""Storms at a provider, lived through by real pumps: what they cost in calls, and how soon all is as before.

python -m bench storms [--quick] [--only refused|failing|small|failover|hung]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db.models import Max

from apps.accounts.models import Workspace
from apps.jobs.actions import ring
from apps.jobs.models import Item, Job
from apps.providers.models import Model, Provider, Target
from bench.harness import declare_model, fetch, forget_work, make_job, prepare
from bench.limiter import Look, Watch, tell, workers
from bench.processes import get_json, simulator
from bench.report import print_table, write_results

PUMPS = 2
_LATENCY = "uniform:300:700"
_PARTS = ("refused", "failing", "small", "failover", "hung")
_SMALL = (1, 5, 50, 1000)


def declare(base_url: str, **values: Any) -> tuple[Workspace, Model]:
    """The model with this provider alone, without limits."""
    forget_work()
    workspace, model = declare_model(base_url)
    provider = Provider.objects.get(name="bench")
    provider.requests_per_minute = provider.tokens_per_minute = None
    provider.total_timeout_seconds = values.get("total_timeout_seconds", 300.0)
    provider.save()  # which ends blocks and pauses of the measurement before
    Target.objects.filter(model=model).exclude(provider=provider).delete()
    return workspace, model


def wait_until(is_true: Callable[[], bool], *, seconds: float) -> float:
    """How long it took."""
    started = time.monotonic()
    while not is_true():
        if time.monotonic() - started > seconds:
            raise TimeoutError
        time.sleep(0.05)
    return time.monotonic() - started


def rate(looks: Sequence[Look]) -> float:
    """Answers a second between the first and the last of these."""
    return (looks[-1].answered - looks[0].answered) / (looks[-1].at - looks[0].at)


def full_rate_after(looks: Sequence[Look], *, ended_at: float, before: float) -> float:
    """Seconds from the end of the storm until two seconds in a row have nine tenths of the answers of before."""
    for first in looks:
        window = [look for look in looks if first.at <= look.at <= first.at + 2.2]
        if first.at >= ended_at and len(window) > 3 and rate(window) >= 0.9 * before:
            return first.at - ended_at
    return float("inf")


def rates_after(looks: Sequence[Look], *, ended_at: float, before: float) -> list[float]:
    """The share of the answers of before in each 5 s from the end of the storm, for two minutes."""
    shares = []
    for step in range(24):
        window = [look for look in looks if ended_at + step * 5 <= look.at < ended_at + step * 5 + 5.3]
        if len(window) > 3:
            shares.append(round(rate(window) / before, 2))
    return shares


def outcome_of(job: Job, provider_calls: int) -> dict[str, Any]:
    job.refresh_from_db()
    attempts = Item.objects.filter(job=job).order_by("-attempts").values_list("attempts", flat=True).first()
    return {
        "items": job.total,
        "done": job.done,
        "dead": job.dead,
        "extra_calls": provider_calls - job.total,
        "most_attempts": attempts,
    }


def measure_storm(what: str, script: str, folder: Path, *, storm: float, items: int) -> dict[str, Any]:
    """Every call of the storm comes to `script`; the job goes on before and after it."""
    with simulator(latency=_LATENCY, folder=folder) as (base_url, _), workers(folder, pumps=PUMPS):
        job = make_job(*declare(base_url), items=items)
        ring(lane="default", job_id=job.id)
        root = base_url.removesuffix("/v1")
        with Watch(base_url) as watch:
            time.sleep(12)
            before = rate([look for look in watch.looks if look.at > watch.looks[-1].at - 6])
            began_at, in_flight = time.monotonic(), get_json(f"{root}/sim/stats")["most_in_flight"]
            tell(base_url, script=script)
            time.sleep(storm)
            tell(base_url, script="")
            ended_at = time.monotonic()
            wait_until(lambda: _has_ended(job), seconds=600)
        total = get_json(f"{root}/sim/calls")["total"]
    late = [look for look in watch.looks if look.at >= ended_at - 1]
    return {
        "what": what,
        "storm_seconds": round(ended_at - began_at),
        "most_in_flight_before": in_flight,
        **outcome_of(job, total),
        "answers_per_second_before": round(before),
        "seconds_to_full_rate_after": round(full_rate_after(late, ended_at=ended_at, before=before), 1),
        "share_of_before_by_5_s_after": rates_after(late, ended_at=ended_at, before=before),
    }


def _has_ended(job: Job) -> bool:
    job.refresh_from_db(fields=["done", "dead"])
    return job.done + job.dead >= job.total


def measure_small(folder: Path, *, storm: float) -> list[dict[str, Any]]:
    """Small jobs that come while the provider fails: each at a target of its own, and all of them at one."""
    with simulator(latency=_LATENCY, folder=folder) as (base_url, _), workers(folder, pumps=PUMPS):
        workspace, shared = declare(base_url)
        models = {f"{size} alone": _model_of_its_own(f"bench-{size}", base_url) for size in _SMALL}
        tell(base_url, script="status=500")
        jobs = {name: make_job(workspace, model, items=int(name.split()[0])) for name, model in models.items()}
        jobs |= {f"{size} beside the others": make_job(workspace, shared, items=size) for size in _SMALL}
        for job in jobs.values():
            ring(lane="default", job_id=job.id)
        time.sleep(storm)
        calls = dict(_calls_by_job())
        tell(base_url, script="")
        ended_at = datetime.now(UTC)
        wait_until(lambda: all(_has_ended(job) for job in jobs.values()), seconds=600)
    rows = []
    for name, job in jobs.items():
        found = Item.objects.filter(job=job).aggregate(last=Max("ended_at"), attempts=Max("attempts"), free=Max("free_tries"))
        rows.append(
            {
                "what": f"500 for {storm:.0f} s, job of {name}",
                "done": job.done,
                "dead": job.dead,
                "calls_meanwhile": calls.get(job.id, 0),
                "most_attempts": found["attempts"],
                "most_free_tries": found["free"],
                "seconds_until_done_after": round((found["last"] - ended_at).total_seconds(), 1),
            }
        )
    return rows


def _model_of_its_own(name: str, base_url: str) -> Model:
    provider = Provider.objects.update_or_create(name=name, defaults={"base_url": base_url})[0]
    model = Model.objects.get_or_create(name=name)[0]
    Target.objects.get_or_create(model=model, provider=provider, upstream_model="simulated")
    return model


def _calls_by_job() -> list[tuple[Any, ...]]:
    return fetch("SELECT job_id, count(*) FROM traces_exchange AS exchange JOIN traces_run AS run ON run.id = run_id GROUP BY job_id")


def measure_failover(folder: Path, *, down: float, items: int) -> dict[str, Any]:
    """The first target fails, the second takes over; the first comes back."""
    with (
        simulator(latency=_LATENCY, folder=folder) as (first_url, _),
        simulator(latency=_LATENCY, folder=folder) as (second_url, _),
        workers(folder, pumps=PUMPS),
    ):
        workspace, model = declare(first_url)
        fallback = Provider.objects.update_or_create(name="bench-fallback", defaults={"base_url": second_url})[0]
        Target.objects.create(model=model, provider=fallback, upstream_model="simulated", position=1)
        job = make_job(workspace, model, items=items)
        ring(lane="default", job_id=job.id)
        with Watch(first_url) as first, Watch(second_url) as second:
            time.sleep(12)
            tell(first_url, script="status=500")
            opened = wait_until(lambda: "breaker_opened" in (folder / "exec.log").read_text(errors="replace"), seconds=30)
            answered = wait_until(lambda: second.look().answered > 0, seconds=30)
            time.sleep(down)
            tell(first_url, script="")
            back_at = time.monotonic()
            wait_until(lambda: _has_ended(job), seconds=600)
        total = sum(get_json(f"{url.removesuffix('/v1')}/sim/calls")["total"] for url in (first_url, second_url))
    shares = []
    for step in range(12):
        lower, upper = back_at + step * 5, back_at + step * 5 + 5.6
        parts = [[look.answered for look in watch.looks if lower <= look.at < upper] for watch in (first, second)]
        mine, others = (part[-1] - part[0] if part else 0 for part in parts)
        if mine + others:
            shares.append(round(mine / (mine + others), 2))
    return {
        "what": f"the first target down for {down:.0f} s",
        "seconds_until_open": round(opened, 2),
        "seconds_from_open_to_first_answer_of_the_second": round(answered, 2),
        **outcome_of(job, total),
        "share_of_the_first_by_5_s_after_it_is_back": shares,
    }


def measure_hung(folder: Path, *, items: int) -> dict[str, Any]:
    """One call in a hundred is never answered, one drips; the total deadline is 8 s."""
    with simulator(latency=_LATENCY, folder=folder) as (base_url, _), workers(folder, pumps=PUMPS):
        workspace, model = declare(base_url, total_timeout_seconds=8.0)
        job = make_job(workspace, model, items=items)
        tell(base_url, fail="hang:0.01,drip:0.01")
        ring(lane="default", job_id=job.id)
        time.sleep(items / 1000 + 5)
        tell(base_url, fail="")
        wait_until(lambda: _has_ended(job), seconds=300)
    found = fetch(
        "SELECT outcome, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_seconds), max(duration_seconds) "
        "FROM traces_exchange GROUP BY outcome"
    )
    seconds = {outcome: (count, round(median, 2), round(most, 2)) for outcome, count, median, most in found}
    return {
        "what": "1 % hang, 1 % drip, deadline 8 s",
        "answered_median_and_worst_seconds": seconds["ok"][1:],
        "hung": seconds["ambiguous"][0],
        "hung_median_and_worst_seconds": seconds["ambiguous"][1:],
        **outcome_of(job, sum(row[1] for row in found)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=_PARTS)
    arguments = parser.parse_args()
    quick = arguments.quick
    prepare()
    wanted = {arguments.only} if arguments.only else set(_PARTS)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-storms-") as name:
        folder = Path(name)
        rows = []
        if "refused" in wanted:
            rows.append(
                measure_storm("429, Retry-After 1", "status=429 retry_after=1 delay=0", folder, storm=15 if quick else 60, items=100_000)
            )
        if "failing" in wanted:
            rows.append(measure_storm("500", "status=500", folder, storm=15 if quick else 300, items=100_000))
        if rows:
            results["storms"] = rows
            print_table(rows)
        if "small" in wanted:
            results["small"] = measure_small(folder, storm=15 if quick else 300)
            print_table(results["small"])
        if "failover" in wanted:
            results["failover"] = measure_failover(folder, down=10 if quick else 15, items=100_000)
            print_table([results["failover"]])
        if "hung" in wanted:
            results["hung"] = measure_hung(folder, items=5000)
            print_table([results["hung"]])
    forget_work()
    write_results("storms" if arguments.only is None else f"storms-{arguments.only}", results, quick=quick)
