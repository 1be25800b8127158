"""Postgres restarted in the middle, its sessions ended, its connections used up, a row held by an idle session: nothing lost or doubled."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from random import Random
from urllib.parse import quote, urlsplit

import openai
import psycopg
import pytest

from tests.chaos import traffic
from tests.chaos.faults import Target, restart_postgres, terminate_backends
from tests.chaos.reckoning import reckon_stack
from tests.chaos.soak import LEASE_SECONDS, SETTINGS
from tests.chaos.stack import Stack
from tests.chaos.tables import note
from tests.chaos.workers import until
from tests.simulated import running_simulator

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]

ITEMS = 1200
WINDOW = 40
PUMPS = 2
HELD_SECONDS = LEASE_SECONDS + 7
COLUMNS = ("Postgres", "first refused", "items", "lost", "charged twice", "extra calls", "taken back", "went on after")


@pytest.fixture(scope="module")
def stack_at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Target, openai.OpenAI]]:
    folder = tmp_path_factory.mktemp("postgres")
    with ExitStack() as ending:
        simulator = ending.enter_context(running_simulator("--latency", "fixed:800"))
        stack = Stack(folder / "home")
        stack.environment |= SETTINGS | {"JOBS_MAX_IN_FLIGHT": str(WINDOW), "JOBS_PUMPS_PER_HOST": str(PUMPS)}
        ending.callback(stack.manage, "down")
        up = stack.up()
        traffic.declare(stack, simulator)
        client = ending.enter_context(traffic.client_of(stack, up["url"]))
        yield stack, Target(folder / "home", simulator, Random(1), LEASE_SECONDS), client


def restart(target: Target) -> None:
    restart_postgres(target)


def end_sessions(target: Target) -> None:
    for _ in range(5):
        terminate_backends(target)
        until(lambda: traffic.count(target.database_url()) is not None, "Postgres answers")


def use_up(target: Target) -> None:
    """Every connection that there may be is somebody else's, and what the platform had is ended."""
    until_at = time.monotonic() + HELD_SECONDS
    with ExitStack() as held:
        first = held.enter_context(psycopg.connect(target.database_url(), autocommit=True))
        while time.monotonic() < until_at:
            with suppress(psycopg.OperationalError):
                first.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'hog' AND pid <> pg_backend_pid()"
                    " AND usename = current_user AND datname = current_database()"
                )
                while True:
                    held.enter_context(psycopg.connect(target.database_url(), application_name="hog", connect_timeout=2))


def hold_a_row(target: Target) -> None:
    """Somebody's session locks the job that runs, and goes to lunch."""
    with psycopg.connect(target.database_url()) as connection:
        connection.execute("SELECT id FROM jobs_job WHERE ended_at IS NULL FOR UPDATE")
        until_at = time.monotonic() + HELD_SECONDS
        until(lambda: time.monotonic() > until_at, "lunch is over")
        connection.rollback()


def take_no_writes(target: Target) -> None:
    """As a standby that is not promoted yet, or a server that has been told to spare its disk."""
    state = target.state()
    address = urlsplit(target.database_url())
    url = f"postgresql://postgres:{quote(state['secrets']['postgres_admin'], safe='')}@{address.hostname}:{address.port}/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        until_at, at = time.monotonic() + HELD_SECONDS, counts(target).done
        until(lambda: time.monotonic() > until_at, "it is writable again")
        still = counts(target).done
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
    assert still <= at + PUMPS * WINDOW


FAULTS: dict[str, tuple[Callable[[Target], None], int]] = {
    "restarted (immediate)": (restart, 0),
    "sessions ended five times": (end_sessions, 0),
    "connections used up": (use_up, PUMPS * WINDOW),
    "a row held": (hold_a_row, 0),
    "read-only": (take_no_writes, PUMPS * WINDOW),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_work_goes_on(fault: str, stack_at_work: tuple[Stack, Target, openai.OpenAI]) -> None:
    stack, target, client = stack_at_work
    strike, most_extra = FAULTS[fault]
    target.simulator.reset()
    before = counts(target)
    refused = submit(client, fault.replace(" ", "-"))
    until(lambda: counts(target).done >= before.done + ITEMS // 10, "a part was done")
    strike(target)
    struck_at, at = time.monotonic(), counts(target).done
    until(lambda: counts(target).done > at, "it goes on")
    seconds = time.monotonic() - struck_at
    until(lambda: counts(target).open_jobs == 0, "all work ended", seconds=120)
    after, extra = counts(target), target.simulator.calls()["total"] - ITEMS
    with psycopg.connect(target.database_url()) as connection:
        (doubled,) = connection.execute("SELECT count(*) - count(DISTINCT item_id) FROM spend_charge").fetchone() or (None,)
    row = (fault, refused, ITEMS, before.done + ITEMS - after.done, doubled, extra, after.losses - before.losses, f"{seconds:.1f} s")
    note("Postgres", COLUMNS, row)
    assert (after.done, after.dead, doubled) == (before.done + ITEMS, 0, 0)
    assert 0 <= extra <= most_extra
    checked = stack.manage("check_invariants", "--at-rest")
    assert checked.returncode == 0, checked.stdout
    reckon_stack(stack, target.simulator)


def submit(client: openai.OpenAI, name: str) -> int:
    """How often it was refused before it was taken in, as the last fault may still be felt."""
    refused = 0
    until_at = time.monotonic() + 30
    while True:
        try:
            traffic.submit(client, name, ITEMS)
        except openai.InternalServerError:
            refused += 1
            assert time.monotonic() < until_at
            time.sleep(0.2)
        else:
            return refused


def counts(target: Target) -> traffic.Counts:
    """As soon as Postgres tells."""
    found: list[traffic.Counts] = []

    def answers() -> bool:
        found.extend([now for now in [traffic.count(target.database_url())] if now])
        return bool(found)

    until(answers, "Postgres answers")
    return found[-1]
