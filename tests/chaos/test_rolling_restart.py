"""Workers, and then the web process, are replaced one after another while a job runs: nothing is lost, and no call is made twice."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from math import ceil, floor

import openai
import psutil
import psycopg
import pytest
from django.utils import timezone

from apps.jobs.actions import ring, sweep
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from tests.chaos import traffic
from tests.chaos.stack import Stack
from tests.chaos.test_killed_stores import CONFIG
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done
from tests.chaos.workers import run_out, stop, until, worker
from tests.factories.providers import make_model, make_provider
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

ITEMS, DELAY_SECONDS = 5000, 1.5
BATCH_ITEMS, POSTS = 2000, 60
SETTINGS = {"JOBS_PUMPS_PER_HOST": "4"}
_WINDOW_SECONDS = 4


@contextmanager
def shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is printed inside reaches the terminal, pass or fail."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        yield


def print_rate(what: str, ended_at: list[datetime], since: datetime, until_: datetime, request: pytest.FixtureRequest) -> None:
    """Items per second before and during the replacement, how long it was less than half of that, and the longest silence."""
    per_second = Counter(floor((moment - since).total_seconds()) for moment in ended_at)
    seconds = ceil((until_ - since).total_seconds())
    before = sum(per_second[n] for n in range(-_WINDOW_SECONDS, 0)) / _WINDOW_SECONDS
    # Calls of the same length end in waves: each second is looked at with its neighbours.
    low = sum(sum(per_second[n + step] for step in (-1, 0, 1)) / 3 < before / 2 for n in range(seconds))
    inside = sorted(moment for moment in ended_at if since <= moment <= until_)
    silence = max(((after - earlier).total_seconds() for earlier, after in pairwise([since, *inside, until_])), default=0.0)
    with shown(request):
        line = f"{what}: {before:.0f}/s before; {seconds} s of restart with {len(inside) / seconds:.0f}/s on average"
        sys.stdout.write(f"\n{line}, {low} s of it below half; longest silence {silence:.1f} s\n")


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_two_workers_are_replaced_in_turn_while_a_job_runs(simulator: Simulator, request: pytest.FixtureRequest) -> None:
    model = make_model("small", make_provider(base_url=simulator.base_url))
    with ExitStack() as running:
        old = [running.enter_context(worker("exec", **SETTINGS)) for _ in range(2)]
        job = make_job(prompts=[f"[[sim delay={DELAY_SECONDS}]] item {n}" for n in range(ITEMS)], model_id=model.id)
        ring(lane="default", job_id=job.id)
        until(lambda: some_are_done(job, 800), "a part was done", meanwhile=lambda: beat(job))
        began = timezone.now()
        for process in old:
            done = done_of(job)
            stop(process)
            assert done_of(job) < ITEMS, "it was stopped under load"
            running.enter_context(worker("exec", **SETTINGS))
            assert done_of(job) > done, "the other one works on"
        ended = timezone.now()
        run_out(job, seconds=120)
    assert_each_ended_once(job, ITEMS)
    assert not Item.objects.filter(job=job, losses__gt=0).exists()
    assert simulator.calls()["total"] == ITEMS
    print_rate("two workers replaced", list(Item.objects.filter(job=job).values_list("ended_at", flat=True)), began, ended, request)


def done_of(job: Job) -> int:
    return Item.objects.filter(job=job, state=ItemState.DONE).count()


def beat(job: Job) -> None:
    """As beat does, and a ring for each pump that the two workers have room for."""
    sweep()
    ring(lane="default", job_id=job.id)


class Caller(threading.Thread):
    """A client at work: it looks at a batch and posts small ones, each until it is taken, with the retries of its package."""

    def __init__(self, url: str, key: str, batch_id: str, file_id: str) -> None:
        super().__init__(daemon=True)
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=8)
        self.batch_id, self.file_id = batch_id, file_id
        self.posted: list[str] = []
        self.looks = 0
        self.is_over = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                self.client.batches.retrieve(self.batch_id)
                self.looks += 1
                if len(self.posted) < POSTS:
                    self.posted.append(self._post(len(self.posted)))
                time.sleep(0.1)
        except Exception as error:  # noqa: BLE001 -- the test shows it
            self.error = error

    def _post(self, number: int) -> str:
        made = self.client.batches.create(
            input_file_id=self.file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"number": str(number)}
        )
        return made.id


def lines(number: int, *, delay: float) -> bytes:
    return traffic.lines("slow", (f"[[sim delay={delay}]] item {n} of {number}" for n in range(number)))


@pytest.mark.long
def test_a_whole_stack_is_replaced_by_one_command_while_clients_poll_and_post(
    stack: Stack, simulator: Simulator, request: pytest.FixtureRequest
) -> None:
    stack.environment["JOBS_MAX_IN_FLIGHT"] = "30"
    first = stack.up()
    traffic.apply(stack, CONFIG.format(base_url=simulator.base_url))
    key = traffic.make_key(stack)
    with openai.OpenAI(base_url=f"{first['url']}/v1", api_key=key) as client:
        big = client.files.create(file=("big.jsonl", lines(BATCH_ITEMS, delay=2.4)), purpose="batch")
        small = client.files.create(file=("small.jsonl", lines(1, delay=0.05)), purpose="batch")
        batch = client.batches.create(input_file_id=big.id, endpoint="/v1/chat/completions", completion_window="24h")
        caller = Caller(first["url"], key, batch.id, small.id)
        caller.start()
        until(lambda: done_in(first, batch.id) > 150, "a part was done", pause=0.5)
        began = timezone.now()
        answer = stack.manage("restart")
        ended = timezone.now()
        assert answer.returncode == 0, answer.stderr
        assert done_in(first, batch.id) < BATCH_ITEMS, "it was a restart under load"
        until(lambda: len(caller.posted) == POSTS or caller.error is not None, "every post was taken", pause=0.2)
        caller.is_over.set()
        caller.join(30)
        assert caller.error is None, caller.error
        ids = [batch.id, *caller.posted]
        until(lambda: all(client.batches.retrieve(one).status == "completed" for one in ids), "all ended", seconds=120, pause=0.5)
        listed = [one.id for one in client.batches.list(limit=100)]
    assert sorted(listed) == sorted(ids), "each post counted once"
    assert simulator.calls()["total"] == BATCH_ITEMS + POSTS
    assert_all_new(first, stack)
    with psycopg.connect(first["database_url"]) as connection:
        states = connection.execute("SELECT state, count(*), sum(losses) FROM jobs_item GROUP BY state").fetchall()
        charges = connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone()
        moments = [
            row[0] for row in connection.execute("SELECT ended_at FROM jobs_item WHERE job_id = %s", [batch.id.removeprefix("batch_")])
        ]
    assert states == [("done", BATCH_ITEMS + POSTS, 0)]
    assert charges == (BATCH_ITEMS + POSTS, BATCH_ITEMS + POSTS)
    print_rate(f"a stack replaced ({caller.looks} looks, {POSTS} posts)", moments, began, ended, request)


def done_in(first: dict, batch_id: str) -> int:
    with psycopg.connect(first["database_url"]) as connection:
        row = connection.execute("SELECT count(*) FROM jobs_item WHERE job_id = %s AND state = 'done'", [batch_id.removeprefix("batch_")])
        return row.fetchone()[0]


def assert_all_new(first: dict, stack: Stack) -> None:
    """The stores are those of before, everything else is another process; all of it answers."""
    now = json.loads((stack.home / "stack.json").read_text())["pids"]
    kept = {name for name, pid in first["pids"].items() if now[name][0] == pid}
    assert kept == {"supervisor", "postgres", "valkey"}
    assert all(psutil.pid_exists(pid) for pid, _ in now.values())
    assert stack.manage("status").returncode == 0
