"""End users in the order of what they cost, and of how far that moved: chosen by sums of floating point, told as the charges have it."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from apps.spend.actions import roll_up
from apps.spend.domain.spending import Dimension, Question, Span, before
from apps.spend.models import Charge
from apps.spend.queries.spending import find_movers, split_spending
from tests.factories.accounts import make_workspace
from tests.factories.spend import make_charge

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 8, 28, tzinfo=UTC)
BUSY = datetime(2026, 9, 19, tzinfo=UTC)
# Close to each other, far from each other, the same, and nothing: in a sum of floating point the first three are one.
COSTS = ("1000000", "1000000.000000000001", "1000000.000000000002", "0.3", "0.1", "0.000000000001", "0")
_TIMES = [
    (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)),
    (datetime(2026, 9, 20, tzinfo=UTC), datetime(2026, 10, 11, tzinfo=UTC)),
    (datetime(2026, 9, 3, 18, 30, tzinfo=UTC), datetime(2026, 10, 11, 5, tzinfo=UTC)),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    # Some days, or a part of one, cut at either end or at both.
    (BUSY + timedelta(hours=30), BUSY + timedelta(hours=66, minutes=10)),
    (BUSY + timedelta(hours=24), BUSY + timedelta(hours=50)),
    (BUSY + timedelta(hours=31), BUSY + timedelta(hours=43)),
]
_FILTERS: list[Mapping[Dimension, UUID | str | None]] = [{}, {Dimension.FEATURE: "letters"}, {Dimension.LANE: "none of this name"}]


@pytest.fixture
def workspaces(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Two that share half of their users' names; most is rolled up, and some of it twice. Of few users not all are tried first."""
    monkeypatch.setattr("apps.spend.queries.dearest_users._BESIDES", 0)
    chance = random.Random(5)
    ids = [make_workspace(name).id for name in ("acme", "globex")]
    for number in range(300):
        if number in {150, 250}:
            roll_up()
        user = chance.randrange(40)
        make_charge(
            ids[user % 2 if user < 20 else chance.randrange(2)],
            COSTS[user % len(COSTS)],
            at=BUSY + timedelta(minutes=chance.randrange(60 * 96)) if number % 2 else START + timedelta(days=chance.random() * 50),
            feature=chance.choice(["letters", "search"]),
            end_user=f"user-{user}" if user else "",
        )
    return ids


def by_hand(question: Question, key: Callable[[Charge], str] = lambda charge: charge.end_user) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for charge in Charge.objects.filter(created_at__gte=question.since, created_at__lt=question.until):
        is_theirs = question.workspace_ids is None or charge.workspace_id in question.workspace_ids
        if is_theirs and all(getattr(charge, by.column) == value for by, value in question.filters.items()):
            found[key(charge)] += charge.cost_usd
    return dict(found)


def asked(workspaces: list[UUID], filters: Mapping[Dimension, UUID | str | None]) -> list[Question]:
    return [Question(since, until, whose, filters) for since, until in _TIMES for whose in (None, workspaces[:1])]


@pytest.mark.parametrize("filters", _FILTERS, ids=str)
def test_the_dearest_are_told_in_order_page_by_page(workspaces: list[UUID], filters: Mapping[Dimension, UUID | str | None]) -> None:
    for question in asked(workspaces, filters):
        expected = sorted(by_hand(question).items(), key=lambda one: (-one[1], one[0]))
        for limit in (1, 4, 100):
            found, page = [], split_spending(question, Dimension.END_USER, limit=limit)
            assert len(page) == min(limit, len(expected))
            while page:
                found += page
                page = split_spending(question, Dimension.END_USER, limit=limit, after=page[-1])
            assert [(part.value, part.sums.cost_usd) for part in found] == expected


@pytest.mark.parametrize("filters", _FILTERS, ids=str)
def test_those_that_moved_most_are_told_in_order(workspaces: list[UUID], filters: Mapping[Dimension, UUID | str | None]) -> None:
    for question in asked(workspaces, filters):
        earlier = before(Span(question.since, question.until))
        now, then = by_hand(question), by_hand(Question(earlier.since, earlier.until, question.workspace_ids, filters))
        changes = {user: now.get(user, Decimal(0)) - then.get(user, Decimal(0)) for user in now.keys() | then.keys()}
        expected = sorted(((user, change) for user, change in changes.items() if change), key=lambda one: (-abs(one[1]), one[0]))
        for limit in (1, 4, 100):
            assert [(move.value, move.change_usd) for move in find_movers(question, Dimension.END_USER, limit=limit)] == expected[:limit]


def test_a_part_of_today_is_set_beside_the_same_part_of_another_day(workspaces: list[UUID]) -> None:
    earlier = Span(BUSY + timedelta(hours=24), BUSY + timedelta(hours=40, minutes=20))
    for whose in (None, workspaces[:1]):
        question = Question(BUSY + timedelta(days=3), BUSY + timedelta(days=4), whose)
        now, then = by_hand(question), by_hand(Question(earlier.since, earlier.until, whose))
        moves = [(user, then.get(user, Decimal(0)), now.get(user, Decimal(0))) for user in now.keys() | then.keys()]
        expected = sorted((move for move in moves if move[1] != move[2]), key=lambda move: (-abs(move[2] - move[1]), move[0]))
        for limit in (1, 4, 100):
            found = find_movers(question, Dimension.END_USER, earlier=earlier, limit=limit)
            assert [(move.value, move.before_usd, move.now_usd) for move in found] == expected[:limit]


def test_who_spent_as_much_as_before_has_not_moved_whatever_floating_point_makes_of_it() -> None:
    ours = make_workspace().id
    for name, then, now in (("ada", "0.1 0.2", "0.3"), ("grace", "0.3", "0.1 0.2"), ("alan", "5", "5.000000000001")):
        for at, costs in ((START, then), (START + timedelta(days=1), now)):
            for cost in costs.split():
                make_charge(ours, cost, at=at, end_user=name)
    roll_up()
    question = Question(START + timedelta(days=1), START + timedelta(days=2))
    for limit in (1, 10):
        (move,) = find_movers(question, Dimension.END_USER, limit=limit)
        assert (move.value, move.change_usd) == ("alan", Decimal("0.000000000001"))
