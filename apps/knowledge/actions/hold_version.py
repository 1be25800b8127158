"""Claim a version that waits to be read, keep the claim alive, and give it back: one reader at a time, whatever is killed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from apps.knowledge.domain.reading import MOST_LOSSES
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

# A claim that is found lapsed belonged to a process that was lost: nothing else leaves one. Closed workspaces are not worked for.
_CLAIM = """
UPDATE knowledge_documentversion AS version
SET claim_id = %(claim)s, lease_until = clock_timestamp() + %(seconds)s * interval '1 second',
    losses = version.losses + CASE WHEN version.claim_id IS NULL THEN 0 ELSE 1 END
FROM knowledge_document AS document
JOIN knowledge_collection AS collection ON collection.id = document.collection_id
JOIN accounts_workspace AS workspace ON workspace.id = collection.workspace_id
WHERE version.id = %(id)s AND version.status = 'pending' AND version.read_at IS NULL
  AND (version.lease_until IS NULL OR version.lease_until <= clock_timestamp())
  AND document.id = version.document_id AND workspace.deleting_at IS NULL
RETURNING version.losses
"""
_RENEW = """
UPDATE knowledge_documentversion SET lease_until = clock_timestamp() + %s * interval '1 second'
WHERE id = %s AND claim_id = %s AND status = 'pending'
"""
_RELEASE = "UPDATE knowledge_documentversion SET claim_id = NULL, lease_until = NULL WHERE id = %s AND claim_id = %s AND status = 'pending'"
_REFUSE = """
UPDATE knowledge_documentversion SET status = 'refused', refusal_code = %s, refusal_message = %s, claim_id = NULL, lease_until = NULL,
    ended_at = clock_timestamp()
WHERE id = %s AND claim_id = %s AND status = 'pending'
"""


class ClaimLostError(Exception):
    """Somebody else reads this version by now; what was read is thrown away."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Every write for the version names it: a late writer writes nothing."""

    version_id: UUID
    claim_id: UUID
    losses: int

    @property
    def is_poison(self) -> bool:
        return self.losses >= MOST_LOSSES


@contextmanager
def hold_version(version_id: UUID) -> Iterator[Claim | None]:
    """The claim, kept alive inside; None when there is nothing to claim.

    When the stores fail it is given back uncounted. Left by any other error it lapses and counts: a document on which we fail each time
    must come to an end.
    """
    claim = _claim(version_id)
    if claim is None:
        yield None
        return
    done = threading.Event()
    renewer = threading.Thread(target=_keep_alive, args=(claim, done), name="renew-version", daemon=True)
    renewer.start()
    try:
        yield claim
    except INFRASTRUCTURE_ERRORS:
        _give_back(claim)
        raise
    finally:
        done.set()
        renewer.join()


def refuse_version(claim: Claim, *, code: str, message: str) -> None:
    """The end of a version that can't be read; ClaimLostError when it is not ours any more."""
    with server_cursor() as cursor:
        cursor.execute(_REFUSE, (code, message[:1000], claim.version_id, claim.claim_id))
        if not cursor.rowcount:
            raise ClaimLostError


def _claim(version_id: UUID) -> Claim | None:
    claim_id = uuid7()
    with server_cursor() as cursor:
        cursor.execute(_CLAIM, {"claim": claim_id, "seconds": settings.DOCUMENTS_LEASE_SECONDS, "id": version_id})
        row = cursor.fetchone()
    return Claim(version_id, claim_id, row[0]) if row else None


def _keep_alive(claim: Claim, done: threading.Event) -> None:
    """On a thread and a connection of its own: reading one document may take minutes."""
    try:
        while not done.wait(settings.DOCUMENTS_LEASE_SECONDS / 4):
            try:
                with server_cursor() as cursor:
                    cursor.execute(_RENEW, (settings.DOCUMENTS_LEASE_SECONDS, claim.version_id, claim.claim_id))
                    if not cursor.rowcount:
                        return
            except INFRASTRUCTURE_ERRORS as error:
                log.warning("lease_not_renewed", version_id=str(claim.version_id), error=str(error))
                connection.close()
    finally:
        connection.close()


def _give_back(claim: Claim) -> None:
    try:
        with server_cursor() as cursor:
            cursor.execute(_RELEASE, (claim.version_id, claim.claim_id))
    except INFRASTRUCTURE_ERRORS as error:
        log.warning("claim_not_given_back", version_id=str(claim.version_id), error=str(error))
