"""Whatever comes in whatever order, no cap is exceeded and every sum is right: a state machine against the real Postgres.

The model is as simple as can be: a dictionary of open runs and two sums for each counter.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apps.accounts.models import Workspace
from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.spend.actions import open_purses_of_jobs, reserve, resolve, top_up_budget, with_finer_purses, write_off
from apps.spend.domain.budgets import Ask, Subject
from apps.spend.domain.charges import Ended, LostRun, ResolutionKind
from apps.spend.models import Budget, BudgetPeriod
from apps.spend.queries import check_counters

JOBS = (UUID(int=101), UUID(int=102))
USERS = ("ada", "")
# What is rolled back leaves dead rows behind.
_SWEPT_AFTER = 25
CENT = Decimal("0.01")
amounts = st.integers(0, 400).map(lambda cents: cents * CENT)


class _UndoneError(Exception):
    """The process died before its commit."""


@contextmanager
def dying() -> Iterator[None]:
    """A transaction that is never committed."""
    try:
        with transaction.atomic():
            yield
            raise _UndoneError  # noqa: TRY301 -- the way out of a transaction
    except _UndoneError:
        pass


def ask(query: LiteralString) -> list[Any]:
    """The first column."""
    with server_cursor() as cursor:
        cursor.execute(query)
        return [row[0] for row in cursor]


class MoneyMachine(RuleBasedStateMachine):
    """Reserve, settle, release, lose, crash, top up, raise, lower, switch, and let time pass, in any order."""

    examples = 0

    @initialize(caps=st.lists(st.integers(0, 1500), min_size=5, max_size=5), soft=st.integers(0, 4))
    def begin(self, caps: list[int], soft: int) -> None:
        # All of an example is one transaction that is rolled back: what actions commit are savepoints of it.
        self.frame = transaction.atomic()
        self.frame.__enter__()
        self.workspace = Workspace.objects.get_or_create(name="machine")[0]
        owners = [
            {"scope": "platform"},
            {"scope": "workspace", "workspace": self.workspace},
            {"scope": "user", "workspace": self.workspace, "subject": "ada"},
            {"scope": "job", "workspace": self.workspace, "job_id": JOBS[0]},
            {"scope": "workspace", "workspace": self.workspace, "period": "hour"},
        ]
        self.budgets = [
            Budget.objects.create(**{"period": "total"} | owner, cap_usd=cap * CENT, is_hard=number != soft)
            for number, (owner, cap) in enumerate(zip(owners, caps, strict=True))
        ]
        self.open: dict[UUID, Ask] = {}
        self.ended: list[UUID] = []

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule(wanted=st.lists(st.tuples(amounts, st.sampled_from(JOBS), st.sampled_from(USERS)), min_size=1, max_size=8), crashes=st.booleans())
    def reserve(self, wanted: list[tuple[Decimal, UUID, str]], crashes: bool) -> None:  # noqa: FBT001 -- hypothesis passes by name
        asks = [Ask(uuid7(), uuid7(), Subject(self.workspace.id, job, None, user, ""), amount) for amount, job, user in wanted]
        before = self.counted()
        with dying() if crashes else transaction.atomic():
            subjects = {ask.subject for ask in asks}
            granted, refused = reserve(asks, with_finer_purses(open_purses_of_jobs(subjects), subjects))
        if crashes:
            assert self.counted() == before
            return
        assert not set(granted) & set(refused)
        self.nobody_exceeds_a_cap_and_nobody_is_refused_for_nothing(asks, granted, refused)
        self.open |= {ask.run_id: ask for ask in asks if ask.run_id in granted}

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(), cents=st.integers(0, 100), wasted=st.integers(0, 100), kind=st.sampled_from(ResolutionKind), crashes=st.booleans()
    )
    def settle(self, data: st.DataObject, cents: int, wasted: int, kind: ResolutionKind, crashes: bool) -> None:  # noqa: FBT001 -- hypothesis passes by name
        """Never for more than was reserved: that is what reserving means. What is charged may have wasted the rest."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.open)), min_size=1, max_size=5, unique=True))
        most = {run: self.open[run].amount_usd / 100 for run in chosen}
        ended = [Ended(run, kind, most[run] * cents, most[run] * min(wasted, 100 - cents)) for run in chosen]
        before = self.counted()
        with dying() if crashes else transaction.atomic():
            resolve(ended)
        if crashes:
            assert self.counted() == before
        else:
            self.close(chosen)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A worker was killed; the sweep finds what it held."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.open)), min_size=1, max_size=5, unique=True))
        with transaction.atomic():
            write_off([LostRun(run) for run in chosen])
        self.close(chosen)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), kind=st.sampled_from(ResolutionKind))
    def settle_once_more(self, data: st.DataObject, kind: ResolutionKind) -> None:
        """A late writer, after somebody else has ended its runs."""
        before = self.counted()
        with transaction.atomic():
            resolve([Ended(data.draw(st.sampled_from(self.ended)), kind, CENT)])
        assert self.counted() == before

    @rule(number=st.integers(0, 4), cents=st.integers(1, 500))
    def top_up(self, number: int, cents: int) -> None:
        top_up_budget(budget_id=self.budgets[number].id, amount_usd=cents * CENT, now=datetime.now(UTC))

    @rule(number=st.integers(0, 4), cents=st.integers(0, 2000))
    def raise_or_lower(self, number: int, cents: int) -> None:
        Budget.objects.filter(id=self.budgets[number].id).update(cap_usd=cents * CENT)

    @rule(number=st.integers(0, 4), is_active=st.booleans())
    def switch(self, number: int, is_active: bool) -> None:  # noqa: FBT001 -- hypothesis passes by name
        Budget.objects.filter(id=self.budgets[number].id).update(is_active=is_active)

    @rule()
    def let_an_hour_pass(self) -> None:
        """What was counted by the hour moves into the past."""
        # By way of another century, so that no two periods begin at once in between.
        for step in (timedelta(days=-40_000), timedelta(days=40_000, hours=-1)):
            BudgetPeriod.objects.filter(budget=self.budgets[4]).update(starts_at=F("starts_at") + step)

    # --- what holds -------------------------------------------------------------------------------------------------

    @invariant()
    def sums_are_right(self) -> None:
        if not hasattr(self, "open"):
            return
        assert check_counters() == []
        assert set(ask("SELECT id FROM spend_reservation EXCEPT SELECT reservation_id FROM spend_resolution")) == set(self.open)

    def teardown(self) -> None:
        if not hasattr(self, "open"):
            return
        resolve([Ended(run, ResolutionKind.RELEASE) for run in self.open])
        assert ask("SELECT id FROM spend_budgetperiod WHERE reserved_usd <> 0") == []
        transaction.set_rollback(True)
        self.frame.__exit__(None, None, None)
        MoneyMachine.examples += 1
        if MoneyMachine.examples % _SWEPT_AFTER == 0:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE spend_reservation, spend_resolution, spend_waste, spend_budget, spend_budgetperiod")

    # --- the model --------------------------------------------------------------------------------------------------

    def close(self, chosen: list[UUID]) -> None:
        for run in chosen:
            del self.open[run]
            self.ended.append(run)

    def nobody_exceeds_a_cap_and_nobody_is_refused_for_nothing(
        self, asks: list[Ask], granted: Collection[UUID], refused: Collection[UUID]
    ) -> None:
        purses = with_finer_purses(open_purses_of_jobs({ask.subject for ask in asks}), {ask.subject for ask in asks})
        assert {ask.run_id for ask in asks if purses.chain(ask.subject)} == set(granted) | set(refused)
        for ask in asks:
            rooms = [purse.room_usd for purse in purses.chain(ask.subject) if purse.is_hard]
            if ask.run_id in granted:
                assert all(room >= 0 for room in rooms)
            elif ask.run_id in refused:
                assert any(room < ask.amount_usd for room in rooms)

    def counted(self) -> list[Any]:
        return sorted(ask("SELECT (id, reserved_usd, spent_usd) FROM spend_budgetperiod WHERE (reserved_usd, spent_usd) <> (0, 0)"))


@pytest.mark.timeout(1200)
@pytest.mark.django_db(transaction=True)
def test_no_order_of_events_breaks_a_sum_or_a_cap() -> None:
    MoneyMachine.TestCase.settings = settings(
        max_examples=500, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    MoneyMachine.TestCase().runTest()
    assert MoneyMachine.examples >= 500
