"""Bury: note what dead items died of, so that those that died of the same are found together."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from apps.jobs.domain.fingerprint import fingerprint_of
from apps.lib.sql import server_cursor

_BURY = """
UPDATE jobs_item AS item SET fingerprint = died.fingerprint FROM unnest(%b::uuid[], %b::text[]) AS died (id, fingerprint)
WHERE item.id = died.id AND item.state = 'dead'
"""


@dataclass(frozen=True, slots=True)
class Death:
    """An item that was given up, and of what."""

    item_id: UUID
    outcome: str
    code: str
    message: str
    provider_id: UUID | None = None
    status_code: int | None = None
    prompt_version: str = ""


def bury(deaths: Iterable[Death]) -> None:
    """In the transaction that gave them up; nearly always there is nothing to do."""
    rows = [
        (
            death.item_id,
            fingerprint_of(
                outcome=death.outcome,
                code=death.code,
                status_code=death.status_code,
                provider_id=death.provider_id,
                message=death.message,
                prompt_version=death.prompt_version,
            ),
        )
        for death in deaths
    ]
    if rows:
        with server_cursor() as cursor:
            cursor.execute(_BURY, tuple(list(column) for column in zip(*rows, strict=True)))
