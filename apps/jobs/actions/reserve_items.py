"""Reserve money for claimed items, inside the transaction that claims them: what doesn't fit is given back uncounted."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from apps.jobs.actions.foresee_tools import most_asked
from apps.jobs.actions.hold_jobs import Hold
from apps.jobs.domain.budget_words import told_refusal
from apps.jobs.domain.claimed import ClaimedItem
from apps.lib.sql import server_cursor
from apps.providers.domain.dearest import Quote, Quoter
from apps.spend.actions import reserve, with_finer_purses
from apps.spend.domain.budgets import OF_JOBS, Ask, Purses, Refusal, Subject

# An item whose end user or feature is out of money goes aside, so that its neighbours have their turn; others keep their place.
_GIVE_BACK = b"""
UPDATE jobs_item AS item
SET state = 'waiting', run_id = NULL, pump_id = NULL, lease_until = NULL, claimed_at = NULL,
    not_before = CASE WHEN back.is_aside THEN coalesce(back.until, statement_timestamp() + back.seconds * interval '1 second')
                      ELSE item.not_before END,
    error_code = CASE WHEN back.is_aside THEN back.code ELSE item.error_code END
FROM unnest(%b::uuid[], %b::uuid[], %b::bool[], %b::timestamptz[], %b::int4[], %b::text[])
     AS back (id, run_id, is_aside, until, seconds, code)
WHERE item.id = back.id AND item.run_id = back.run_id
"""
# Found by the sweep, should their budget be raised at this very moment. In one order, as all that is locked here.
_NOTE_ASIDE = b"""
INSERT INTO jobs_aside (budget_id, needs_usd, run_id)
SELECT DISTINCT ON (budget_id) budget_id, amount, run_id
FROM unnest(%b::uuid[], %b::numeric[], %b::uuid[]) AS back (budget_id, amount, run_id)
ORDER BY budget_id, amount
ON CONFLICT (budget_id) DO UPDATE SET needs_usd = least(jobs_aside.needs_usd, excluded.needs_usd), run_id = excluded.run_id
"""
# When the budget is fresh again: until then its caller need not try.
_POSTPONE = b"""
UPDATE jobs_item AS item SET not_before = refused.until
FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[]) AS refused (id, run_id, until)
WHERE item.id = refused.id AND item.run_id = refused.run_id AND refused.until IS NOT NULL
"""
_SOON_SECONDS, _LATER_SECONDS = 1, 3600


def reserve_items(
    claimed: Sequence[ClaimedItem], purses: Purses, quoter: Quoter, *, waits: Collection[UUID]
) -> tuple[list[ClaimedItem], list[Hold]]:
    """The items that go on, each with its money (or with the reason why it must die); and the jobs that have to wait for a budget."""
    wanting = [item for item in claimed if item.kept is None]
    quotes = [_quote(item, quoter) for item in wanting]
    subjects = _subjects(wanting)
    asks = [
        Ask(item.run_id, item.item_id, subject, quote.amount_usd) for item, subject, quote in zip(wanting, subjects, quotes, strict=True)
    ]
    granted, refused = reserve(asks, with_finer_purses(purses, set(subjects)))
    going, back, dying = [item for item in claimed if item.kept is not None], [], []
    for item, quote in zip(wanting, quotes, strict=True):
        if (is_hard := granted.get(item.run_id)) is not None:
            going.append(item.with_money(quote.amount_usd, must_be_bounded=is_hard and quote.needs_limit))
        elif (refusal := refused.get(item.run_id)) is None:
            going.append(item)
        elif refusal.is_spent and item.job_id not in waits:
            going.append(replace(item, refusal=told_refusal(refusal)))
            dying.append((item.item_id, item.run_id, refusal.purse.ends_at))
        else:
            back.append((item, refusal))
    _execute(_GIVE_BACK, [(item.item_id, item.run_id, *_aside(refusal)) for item, refusal in back])
    aside = [(refusal.purse.budget_id, refusal.amount_usd, item.run_id) for item, refusal in back if _is_aside(refusal)]
    _execute(_NOTE_ASIDE, aside)
    _execute(_POSTPONE, dying)
    served = {item.job_id for item in going}
    return going, [hold for hold in map(_hold, back) if hold is not None and hold.job_id not in served]


def _quote(item: ClaimedItem, quoter: Quoter) -> Quote:
    request, further_tokens = most_asked(item)
    return quoter.quote(
        request,
        endpoint=item.endpoint,
        model_id=item.model_id,
        policy=item.policy,
        stage=item.stage,
        at=item.claimed_at,
        further_tokens=further_tokens,
    )


def _subjects(items: Sequence[ClaimedItem]) -> list[Subject]:
    """Whose money each item is; those of one owner share one object."""
    known: dict[tuple[UUID, str, str], Subject] = {}
    for item in items:
        key = (item.job_id, item.end_user, item.feature)
        if key not in known:
            known[key] = item.subject
    return [known[item.job_id, item.end_user, item.feature] for item in items]


def _execute(statement: bytes, rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        return
    with server_cursor() as cursor:
        cursor.execute(statement, tuple(list(column) for column in zip(*rows, strict=True)))


def _is_aside(refusal: Refusal) -> bool:
    """Whether it waits until its budget is raised or begins anew, while its job goes on."""
    return refusal.is_spent and refusal.purse.scope not in OF_JOBS


def _aside(refusal: Refusal) -> tuple[object, ...]:
    """(whether it loses its place, until when, or for how long, and why)."""
    if refusal.purse.scope in OF_JOBS:
        return False, None, 0, ""
    if not refusal.is_spent:
        return True, None, _SOON_SECONDS, ""
    return True, refusal.purse.ends_at, _LATER_SECONDS, "budget_exhausted"


def _hold(back: tuple[ClaimedItem, Refusal]) -> Hold | None:
    item, refusal = back
    if not refusal.is_spent or refusal.purse.scope not in OF_JOBS:
        return None
    return Hold(item.job_id, refusal.purse.budget_id, refusal.purse.ends_at, refusal.amount_usd)
