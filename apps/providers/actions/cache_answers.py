"""The cache of answers: looked up and written for whole groups, each in one statement; what is over goes in batches."""

from collections.abc import Sequence

from apps.lib.sql import server_cursor
from apps.providers.domain.calls import Kept
from apps.providers.domain.kept import NewEntry, Wanted
from apps.traces.queries import read_body_sizes

_AT_ONCE = 5000
_MOST_ROUNDS = 200
# A reader may want fresher answers than the writer kept them for.
_FIND = """
SELECT wanted.n, entry.answer_body_id, entry.status_code, entry.cost_usd, entry.run_id
FROM unnest(%b::bytea[], %b::uuid[], %b::int4[]) WITH ORDINALITY AS wanted (key, workspace_id, seconds, n)
JOIN providers_cacheentry AS entry ON entry.key = wanted.key AND entry.workspace_id = wanted.workspace_id
WHERE entry.expires_at > statement_timestamp() AND entry.created_at > statement_timestamp() - wanted.seconds * interval '1 second'
"""
# Sorted by key: two groups that write the same entries wait for each other in the same order.
_KEEP = """
INSERT INTO providers_cacheentry (key, workspace_id, answer_body_id, status_code, cost_usd, run_id, created_at, expires_at)
SELECT key, workspace_id, answer_body_id, status_code, cost_usd, run_id, statement_timestamp(),
       statement_timestamp() + seconds * interval '1 second'
FROM unnest(%b::bytea[], %b::uuid[], %b::bytea[], %b::int4[], %b::numeric[], %b::uuid[], %b::int4[])
     AS fresh (key, workspace_id, answer_body_id, status_code, cost_usd, run_id, seconds)
ON CONFLICT (key) DO UPDATE SET answer_body_id = excluded.answer_body_id, status_code = excluded.status_code, cost_usd = excluded.cost_usd,
    run_id = excluded.run_id, created_at = excluded.created_at, expires_at = greatest(excluded.expires_at, providers_cacheentry.expires_at)
"""
_EXPIRE = """
DELETE FROM providers_cacheentry WHERE key IN (
    SELECT key FROM providers_cacheentry WHERE expires_at <= statement_timestamp() LIMIT %b FOR UPDATE SKIP LOCKED
)
"""


def look_up_answers(wanted: Sequence[Wanted]) -> list[Kept | None]:
    """What is kept of each, in the same order, in one look-up; None where nothing fits, or where the answer's body is gone."""
    found: list[Kept | None] = [None] * len(wanted)
    if not wanted:
        return found
    columns = ([entry.key for entry in wanted], [entry.workspace_id for entry in wanted], [entry.seconds for entry in wanted])
    with server_cursor() as cursor:
        cursor.execute(_FIND, columns)
        rows = cursor.fetchall()
    present = read_body_sizes(list({row[1] for row in rows})) if rows else {}
    for number, *kept in rows:
        if kept[0] in present:
            found[number - 1] = Kept(*kept)
    return found


def keep_answers(entries: Sequence[NewEntry]) -> None:
    """Keep a group's answers, inside the transaction that settles it; a newer answer takes the place of an older one."""
    rows = [entry for _, entry in sorted({entry.key: entry for entry in entries}.items())]
    if not rows:
        return
    columns = [[getattr(row, name) for row in rows] for name in NewEntry.__slots__]
    with server_cursor() as cursor:
        cursor.execute(_KEEP, columns)


def expire_cache() -> int:
    """Delete entries whose time is over, some thousand at a time; returns how many."""
    total = 0
    for _ in range(_MOST_ROUNDS):
        with server_cursor() as cursor:
            cursor.execute(_EXPIRE, (_AT_ONCE,))
            total += cursor.rowcount
            if cursor.rowcount < _AT_ONCE:
                break
    return total
