"""With which keys the secrets in the database are sealed."""

from collections.abc import Collection

import apps.accounts.queries
import apps.providers.queries
import apps.webhooks.queries
from apps.lib.sealed_columns import SealedColumn, count_by_key, has_other_keys

SEALED_COLUMNS = (*apps.providers.queries.SEALED_COLUMNS, *apps.webhooks.queries.SEALED_COLUMNS, *apps.accounts.queries.SEALED_COLUMNS)


def count_seals() -> dict[SealedColumn, dict[str, int]]:
    """How many secrets each key seals, by column."""
    return {column: count_by_key(column) for column in SEALED_COLUMNS}


def find_lost_keys(key_ids: Collection[str]) -> dict[str, int]:
    """Keys that seal something and are none of these, with how many secrets are lost with each."""
    lost: dict[str, int] = {}
    for column in SEALED_COLUMNS:
        if not has_other_keys(column, key_ids=frozenset(key_ids)):
            continue
        for key_id, number in count_by_key(column).items():
            if key_id not in key_ids:
                lost[key_id] = lost.get(key_id, 0) + number
    return lost
