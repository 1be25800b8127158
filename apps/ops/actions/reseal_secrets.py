"""Seal every secret in the database with the newest key, while the platform works.

In bites, each a transaction of its own: whatever stops it, the next call goes on with what is left. Two at once do no harm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings

from apps.accounts.actions import record_audit
from apps.lib.sealed_columns import SealedColumn, seal_bite_anew
from apps.ops.queries.seals import SEALED_COLUMNS, count_seals

_AT_ONCE = 500
# A row that somebody was writing is met again in the next pass; one that is locked for longer is left to the next call.
_PASSES = 5

Report = Callable[[SealedColumn, int], None]


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many this call sealed anew, which ones don't open (with the reason), and how many each key seals now."""

    sealed: int
    unreadable: Mapping[str, str]
    by_key: Mapping[str, int]


def reseal_secrets(*, report: Report) -> Resealed:
    """`report` hears of each bite: the column, and how many of it have been sealed anew so far."""
    sealed, unreadable = 0, {}
    for column in SEALED_COLUMNS:
        number, refused = _reseal_column(column, report)
        sealed += number
        unreadable.update(refused)
    by_key: dict[str, int] = {}
    for counts in count_seals().values():
        for key_id, number in counts.items():
            by_key[key_id] = by_key.get(key_id, 0) + number
    if sealed:
        newest = next(iter(settings.ENCRYPTION_KEYS))
        record_audit(verb="resealed", object_type="secrets", object_label=f"under {newest}", after={"rows": sealed})
    return Resealed(sealed=sealed, unreadable=unreadable, by_key=by_key)


def _reseal_column(column: SealedColumn, report: Report) -> tuple[int, dict[str, str]]:
    done, unreadable = 0, {}
    for _ in range(_PASSES):
        before, after = done, None
        while bite := seal_bite_anew(column, keys=settings.ENCRYPTION_KEYS, after=after, at_once=_AT_ONCE):
            after, done = bite.last, done + bite.sealed
            unreadable.update({f"{column} of {key}": reason for key, reason in bite.unreadable.items()})
            report(column, done)
        if done == before:
            break
    return done, unreadable
