"""Work on a whole stack while faults strike it by chance, and what has come of it afterwards."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import openai
import psycopg
from psycopg.rows import dict_row

from tests.chaos import traffic
from tests.chaos.faults import Target, strike
from tests.chaos.reckoning import hash_of
from tests.chaos.stack import Stack
from tests.chaos.tables import note
from tests.chaos.workers import until
from tests.simulated import Simulator

LEASE_SECONDS = 3.0
SETTINGS = {
    "JOBS_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "JOBS_RENEW_SECONDS": "0.75",
    "JOBS_SWEEP_SECONDS": "1",
    "JOBS_OUTAGE_SECONDS": "3",
    "JOBS_MAX_IN_FLIGHT": "60",
    "JOBS_PUMPS_PER_HOST": "2",
    "JOBS_RETRY_BASE_SECONDS": "0.2",
    "JOBS_RETRY_CAP_SECONDS": "10",
}
_GIVE_UP_SECONDS = 300.0
_LEDGER = """
SELECT (SELECT sum(cost_usd) FROM spend_charge) AS charges, (SELECT sum(cost_usd) FROM jobs_job) AS jobs,
       (SELECT sum(amount_usd) FROM spend_resolution WHERE kind = 'charge') AS ledger,
       (SELECT sum(spent_usd) - coalesce((SELECT sum(amount_usd) FROM spend_waste), 0) FROM spend_budgetperiod WHERE rank = 0) AS budget,
       (SELECT count(*) FROM spend_waste) AS wasted_calls, (SELECT coalesce(sum(amount_usd), 0) FROM spend_waste) AS wasted_usd
"""
# Why an answer may stand at the provider and not in the ledger: nobody was there any more to take it, or it could not be read.
_WASTE = {"lost", "ambiguous", "given_back"}


@dataclass
class Soak:
    """One run: what was submitted, what struck it, and when."""

    seed: int
    seconds: float
    items: int
    batches: int
    pause_seconds: tuple[float, float] = (5.0, 20.0)
    strikes: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    recovered_seconds: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def lines_each(self) -> int:
        return self.items // self.batches


def run(soak: Soak, stack: Stack, up: dict[str, Any], simulator: Simulator) -> None:
    """Submit all the while, strike all the while; then let it come to rest and look."""
    traffic.declare(stack, simulator, timeout=6)
    client = traffic.client_of(stack, up["url"])
    target = Target(Path(stack.environment["AIPLATFORM_HOME"]), simulator, Random(soak.seed), LEASE_SECONDS)
    with client, submitting(soak, client) as submitted:
        strike_for(soak, target, soak.seconds)
        target.do_what_is_due(all_of_it=True)
        ids = {future.result(_GIVE_UP_SECONDS) for future in submitted}
    assert len(ids) == soak.batches, "a batch that was sent twice is one batch"
    calm_at = time.monotonic()
    until(lambda: is_at_rest(up["database_url"], soak.batches), "all batches ended", seconds=_GIVE_UP_SECONDS, pause=0.5)
    soak.recovered_seconds = time.monotonic() - calm_at
    soak.found = measure(up["database_url"], simulator)


def strike_for(soak: Soak, target: Target, seconds: float) -> None:
    began = time.monotonic()
    next_at = began + target.chance.uniform(*soak.pause_seconds)
    while (now := time.monotonic()) < began + seconds:
        target.do_what_is_due()
        if now >= next_at:
            name, what = strike(target)
            soak.kinds[name] += 1
            soak.strikes.append(f"{now - began:7.1f} s  {name}: {what}")
            next_at = now + target.chance.uniform(*soak.pause_seconds)
        time.sleep(0.1)


@contextmanager
def submitting(soak: Soak, client: openai.OpenAI) -> Iterator[list[Future[str]]]:
    """Batches handed in over the whole time, each with keys of its own, so that it may be sent again until it is answered."""
    with ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        pause = soak.seconds * 0.9 / soak.batches
        yield [pool.submit(submit, soak, client, number, began + number * pause) for number in range(soak.batches)]


def submit(soak: Soak, client: openai.OpenAI, number: int, at: float) -> str:
    time.sleep(max(0.0, at - time.monotonic()))
    while True:
        try:
            return traffic.submit(client, f"soak-{soak.seed}-{number}", soak.lines_each)
        except (openai.APIConnectionError, openai.InternalServerError, openai.ConflictError, openai.RateLimitError):
            assert time.monotonic() < at + _GIVE_UP_SECONDS, f"batch {number} was never taken in"
            time.sleep(0.5)


def is_at_rest(database_url: str, batches: int) -> bool:
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            row = connection.execute("SELECT count(*), count(ended_at) FROM jobs_job WHERE kind = 'batch'").fetchone()
            return row == (batches, batches)
    except psycopg.OperationalError:
        return False  # it is being started again


def measure(database_url: str, simulator: Simulator) -> dict[str, Any]:
    """The rows against what the provider has seen itself: it remembers every run that it answered."""
    with psycopg.connect(database_url) as connection:
        charged = dict(connection.execute("SELECT run_id, count(*) FROM spend_charge GROUP BY run_id").fetchall())
        outcomes = dict(connection.execute("SELECT id, outcome FROM traces_run").fetchall())
        states = dict(connection.execute("SELECT state, count(*) FROM jobs_item GROUP BY state").fetchall())
        doubled = connection.execute("SELECT count(*) - count(DISTINCT item_id) FROM spend_charge").fetchone()
        with connection.cursor(row_factory=dict_row) as cursor:
            money = cursor.execute(_LEDGER).fetchone() or {}
        dead = connection.execute("SELECT outcome, error_code, count(*) FROM jobs_item WHERE state = 'dead' GROUP BY 1, 2").fetchall()
    answers = simulator.answers()
    runs = {hash_of(str(run_id)): run_id for run_id in {**outcomes, **charged}}
    waste = Counter(
        outcomes.get(runs[key], "unknown") if key in runs else "unknown"
        for key, number in answers.items()
        for _ in range(number - (charged.get(runs[key], 0) if key in runs else 0))
    )
    return {
        "states": states,
        "dead": dead,
        "doubled": doubled[0] if doubled else 0,
        "charges": sum(charged.values()),
        "answers": sum(answers.values()),
        "waste": waste,
        "unexplained": sum(number for why, number in waste.items() if why not in _WASTE),
        "unanswered": sum(number > answers.get(hash_of(str(run_id)), 0) for run_id, number in charged.items()),
        "stale": sum(outcomes.get(run_id) == "lost" for run_id in charged),
        "calls": simulator.calls()["total"],
        "money": money,
    }


def report(soak: Soak) -> None:
    """The figures of one run, as lines of a table."""
    found = soak.found
    title = f"soak, seed {soak.seed}: {soak.items} items in {soak.batches} batches, {soak.seconds:g} s"
    rows = {f"fault: {name}": number for name, number in sorted(soak.kinds.items())}
    rows |= {f"items {state}": number for state, number in sorted(found["states"].items())}
    rows |= {f"dead of {outcome} ({code})": number for outcome, code, number in found["dead"]}
    rows |= {"calls at the provider": found["calls"], "answers at the provider": found["answers"], "charges": found["charges"]}
    rows |= {f"answers wasted, run {why}": number for why, number in sorted(found["waste"].items())}
    rows |= {"charged twice": found["doubled"], "charged without an answer": found["unanswered"]}
    rows |= {"charged for a run that was taken back": found["stale"], "answers unexplained": found["unexplained"]}
    money = found["money"]
    rows |= {f"dollars by {name}": f"{money[name]:.6f}" for name in ("charges", "jobs", "ledger", "budget")}
    rows |= {"calls written off as waste": money["wasted_calls"], "dollars written off, at most": f"{money['wasted_usd']:.6f}"}
    rows |= {"seconds from the last fault to the end": f"{soak.recovered_seconds:.1f}"}
    for name, number in rows.items():
        note(title, ("", "number"), (name, number))
