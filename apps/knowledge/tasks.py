"""Celery's way in: each task makes one call. Any of them may run twice at once; claims and fences make that harmless."""

from uuid import UUID

from apps.knowledge import actions
from apps.lib.background import background_task
from apps.lib.clock import current_time
from apps.lib.rings import RowId

# The reading itself is bounded by its own clock; this is for a storage or a database that hangs.
_LIMIT_SECONDS = 1800


@background_task(name="knowledge.extract_document", soft_time_limit=_LIMIT_SECONDS, time_limit=_LIMIT_SECONDS + 30)
def extract_document(*, version_id: RowId) -> None:
    actions.extract_document(version_id=UUID(version_id))


@background_task(name="knowledge.sweep")
def sweep() -> int:
    return actions.sweep_documents()


@background_task(name="knowledge.forget_deleted", soft_time_limit=_LIMIT_SECONDS, time_limit=_LIMIT_SECONDS + 30)
def forget_deleted() -> int:
    return actions.forget_deleted(now=current_time())
