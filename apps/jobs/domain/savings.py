"""What a policy saved: an answer from the cache all that asking had cost, a first model what the dear one would have taken beyond it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.providers.domain.calls import Course
from apps.spend.domain.charges import ChargeRecord
from apps.spend.domain.pricing import PriceBook, cost_of

CACHE = "cache"
# The answer of the same request in an earlier job; there is no run of its own.
REUSE = "reuse"
UNASKED = (CACHE, REUSE)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Savings:
    """Dollars; `by_first_usd` is below nothing for an answer of the first model that was paid for and not accepted."""

    by_cache_usd: Decimal = _NOTHING
    by_first_usd: Decimal = _NOTHING


NO_SAVINGS = Savings()


def savings_of(course: Course | None, charges: Sequence[ChargeRecord], prices: PriceBook) -> Savings:
    """Of one run; an estimate where a first model was accepted: its tokens at the other model's prices. Unknown prices save nothing."""
    if course is None:
        return NO_SAVINGS
    return Savings(by_cache_usd=_by_cache(course, prices), by_first_usd=_by_first(course, charges, prices))


def told_origin(course: Course | None) -> str:
    """Whose answer a hit shares, for its run's record; empty for what was asked."""
    if course is None or course.answered_by != CACHE:
        return ""
    run_id = course.kept.run_id if course.kept else course.shared_run_id
    return f"The answer of run_{run_id.hex}, which asked the same." if run_id else ""


def _by_cache(course: Course, prices: PriceBook) -> Decimal:
    if course.kept is not None:
        return course.kept.cost_usd
    found = ((paid, prices.price(paid.provider_id, paid.upstream_model, paid.sent_at)) for paid in course.spared)
    return sum((cost_of(paid.usage, price) for paid, price in found if price is not None), _NOTHING)


def _by_first(course: Course, charges: Sequence[ChargeRecord], prices: PriceBook) -> Decimal:
    if course.first is None or not charges:
        return _NOTHING
    spent = charges[0].cost_usd
    if not course.is_accepted:
        return -spent
    price = prices.price(*course.instead, course.first.sent_at) if course.instead else None
    return cost_of(course.first.usage, price) - spent if price is not None else _NOTHING
