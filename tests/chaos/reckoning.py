"""After each chaos case: all sums of money are equal, and each answer that the provider gave was charged once, or is known as lost.

A case that has the fixture `simulator`, and the test's own database or the fixture `stack`, is reckoned by itself (conftest.py). One
whose stack or simulator is its own calls `reckon_stack` before they end. Where the database can't know what was delivered, the mark
`unwitnessed` says why; the sums must be equal nevertheless.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from tests.chaos.stack import Stack
from tests.chaos.workers import own_database_url
from tests.simulated import Simulator

# Runs whose answers nobody was there to take, or that the platform failed over.
_UNUSED = """
SELECT id FROM traces_run WHERE outcome IN ('lost', 'given_back') UNION SELECT run_id FROM spend_waste WHERE provider_id IS NULL
"""
_WASTED = "SELECT run_id, count(*) FROM spend_waste GROUP BY run_id"
_CHARGED = """
SELECT run_id, upstream_model, (input_tokens + cached_input_tokens + cache_write_tokens)::int8, (output_tokens + reasoning_tokens)::int8
FROM spend_charge WHERE created_at >= %s
"""
_USD = """
SELECT (SELECT coalesce(sum(cost_usd), 0) FROM spend_charge WHERE created_at >= %(since)s),
       (SELECT coalesce(sum(amount_usd), 0) FROM spend_waste WHERE created_at >= %(since)s)
"""
_SUMS = """
SELECT (SELECT coalesce(sum(cost_usd), 0) FROM spend_charge),
       (SELECT coalesce(sum(cost_usd), 0) FROM jobs_job),
       (SELECT coalesce(sum(cost_usd), 0) FROM jobs_item),
       (SELECT coalesce(sum(cost_usd), 0) FROM spend_charge WHERE run_id IN (SELECT id FROM spend_reservation)),
       (SELECT coalesce(sum(amount_usd), 0) FROM spend_resolution WHERE kind = 'charge'),
       (SELECT coalesce(sum(reserved_usd), 0) FROM spend_budgetperiod),
       (SELECT count(*) FROM spend_reservation AS one WHERE NOT EXISTS (SELECT FROM spend_resolution WHERE reservation_id = one.id)),
       (SELECT count(*) FROM jobs_item WHERE state = 'running')
"""
_PROVIDERS = "SELECT name FROM providers_provider WHERE base_url LIKE %s ORDER BY name"


@dataclass(frozen=True, slots=True)
class Books:
    """Where a case's money is written down, and how its commands are run there."""

    database_url: str
    manage: Callable[..., str]


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls, and what they used."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(ours - theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What the provider delivered, what of it was charged, and what nobody was there to take; since the provider counts."""

    delivered: Usage
    charged: Usage
    lost: Usage
    # Calls: answers that are neither, and charges without an answer, run by run; where the sums agree by chance these don't.
    unmatched: int
    charged_usd: Decimal
    wasted_usd: Decimal

    @property
    def difference(self) -> Usage:
        return self.delivered - self.charged - self.lost


_NOTHING = Reckoned(Usage(), Usage(), Usage(), 0, Decimal(0), Decimal(0))


class Session:
    """What all cases have come to. One provider's count that several cases share is there once, as it was last."""

    def __init__(self) -> None:
        self.is_reckoned = False
        self.found: dict[tuple[str, str], Reckoned] = {}
        self.cases = 0
        self.without_provider = 0
        self.unwitnessed: dict[str, str] = {}

    def total(self) -> Reckoned:
        found = list(self.found.values())
        return Reckoned(*(sum((getattr(one, part.name) for one in found), getattr(_NOTHING, part.name)) for part in fields(Reckoned)))


_session = Session()


def before_case() -> None:
    """Whatever became of the one before."""
    _session.is_reckoned = False


def after_case(item: pytest.Item) -> None:
    """Reckon what is not yet, and see that it was where there was a provider."""
    mark = item.get_closest_marker("unwitnessed")
    module: Any = getattr(item, "module", None)
    own = hasattr(module, "running_simulator")
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    simulator = arguments.get("simulator")
    if mark is not None:
        _session.unwitnessed[item.name] = str(mark.args[0])
    if simulator is None and not own:
        _session.without_provider += 1
        return
    _session.cases += 1
    if _session.is_reckoned:
        return
    assert isinstance(simulator, Simulator), "the money of this case was not reckoned: call reckon_stack before its stack ends"
    stack = arguments.get("stack")
    _reckon(_books_of_stack(stack) if isinstance(stack, Stack) else Books(own_database_url(), _told_here), simulator)


def reckon_stack(stack: Stack, simulator: Simulator, *, database_url: str = "") -> Reckoned:
    """For a case whose stack or simulator ends with its body; the database is the one that the stack names unless it is told."""
    return _reckon(_books_of_stack(stack, database_url), simulator)


def reckon_here(simulator: Simulator) -> Reckoned:
    """For a case that looks at the figures itself, in the test's own database."""
    return _reckon(Books(own_database_url(), _told_here), simulator)


def prove_stack(stack: Stack, *, database_url: str) -> None:
    """The sums alone, for a case that has no witness."""
    _prove(_books_of_stack(stack, database_url))
    _session.is_reckoned = True


def printed() -> Iterator[str]:
    """The totals of a session that had such cases."""
    if not _session.cases:
        return
    total = _session.total()
    shared = f"; of {_session.cases} cases with a provider, {len(_session.unwitnessed)} have no witness"
    yield ""
    yield f"Money, over all chaos cases: {len(_session.found)} counts of providers{shared}; {_session.without_provider} cases without one"
    yield f"{'':14} {'delivered':>12} {'charged':>12} {'lost':>12} {'difference':>12}"
    for part in fields(Usage):
        amounts = [getattr(side, part.name) for side in (total.delivered, total.charged, total.lost, total.difference)]
        yield f"{part.name:14} " + " ".join(f"{amount:>12,}" for amount in amounts)
    yield f"answers that are neither, and charges without an answer: {total.unmatched}"
    yield f"dollars charged {total.charged_usd:f}: by charges, jobs, items and the ledger of reservations the same after each case"
    yield f"dollars written off as waste, at most {total.wasted_usd:f}"
    for name, why in _session.unwitnessed.items():
        yield f"without a witness: {name}: {why}"


def _told_here(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def _books_of_stack(stack: Stack, database_url: str = "") -> Books:
    def told(*command: str) -> str:
        done = stack.manage(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    given = database_url or stack.environment.get("DATABASE_URL")
    return Books(given or str(stack.state()["environment"]["DATABASE_URL"]), told)


def _prove(books: Books) -> None:
    """Every sum against every other, by this statement and by the platform's own command."""
    with psycopg.connect(books.database_url) as connection:
        charges, jobs, items, bounded, ledger, *left = connection.execute(_SUMS).fetchone() or ()
    assert charges == jobs == items, "charges, jobs and items come to the same"
    assert bounded == ledger, "what runs with a reservation were charged is what the ledger says"
    assert left == [0, 0, 0], "at rest nothing is reserved, and no item runs"
    assert "All equal" in books.manage("prove_money")


def _reckon(books: Books, simulator: Simulator) -> Reckoned:
    """The sums, and each call that the provider counts."""
    _prove(books)
    told = simulator.usage_by_call()
    with psycopg.connect(books.database_url) as connection:
        charged = connection.execute(_CHARGED, (told["since"],)).fetchall()
        usd = connection.execute(_USD, {"since": told["since"]}).fetchone() or ()
        unused = {hash_of(str(run_id)) for (run_id,) in connection.execute(_UNUSED)}
        wasted = {hash_of(str(run_id)): number for run_id, number in connection.execute(_WASTED)}
        providers = [name for (name,) in connection.execute(_PROVIDERS, (f"{simulator.root}/%",))]
    found = Reckoned(*match_runs(told, charged, unused, wasted), *usd)
    assert (found.difference, found.unmatched) == (Usage(), 0), found
    if len(providers) == 1:
        # Where several share the simulator, it doesn't tell whom it answered.
        assert ", all equal: " in books.manage("reconcile", providers[0], "--simulator", simulator.root)
    _session.is_reckoned = True
    _session.found[simulator.root, told["since"]] = found
    return found


def match_runs(
    told: dict[str, Any], charged: list[tuple[Any, ...]], unused: set[str], wasted: dict[str, int]
) -> tuple[Usage, Usage, Usage, int]:
    """Delivered, charged, lost, and calls that are none of these.

    Lost is what the charges of a run leave of its answers, where it was given up or has written as many off.
    """
    given = {run: Counter((model, *tokens) for _, model, *tokens in answers) for run, answers in told["calls"].items()}
    paid = defaultdict[str, Counter[tuple[Any, ...]]](Counter)
    for run_id, *call in charged:
        paid[hash_of(str(run_id))][tuple(call)] += 1
    lost, others = Usage(), sum((Usage(*numbers) for _, _, *numbers in told["others"]), Usage())
    unmatched = others.calls
    for run in given.keys() | paid.keys():
        left = given.get(run, Counter()) - paid[run]
        unmatched += (paid[run] - given.get(run, Counter())).total()
        if run in unused or left.total() <= wasted.get(run, 0):
            lost += _add_up(left)
        else:
            unmatched += left.total()
    delivered, charges = (sum((_add_up(calls) for calls in side.values()), Usage()) for side in (given, paid))
    return delivered + others, charges, lost, unmatched


def _add_up(calls: Counter[tuple[Any, ...]]) -> Usage:
    return sum((Usage(number, number * input_, number * output) for (_, input_, output), number in calls.items()), Usage())


def hash_of(request_id: str) -> str:
    """As the simulator remembers it."""
    return hashlib.blake2b(request_id.encode(), digest_size=8).hexdigest()
