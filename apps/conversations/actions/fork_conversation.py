"""Fork a conversation: another one begins with a copy of its turns up to a version, and goes its own way from there."""

from datetime import datetime
from uuid import UUID

from apps.conversations.actions.record_conversation import record_conversation
from apps.conversations.domain.state import first_hash
from apps.conversations.models import Conversation, Summary, TurnState
from apps.lib.ids import ids_in_order, uuid7
from apps.lib.sql import server_cursor

_COPIED = (
    "workspace_id, number, state, item_id, created_by_id, input, messages, answer, tool_calls, input_tokens, answer_tokens, previous_hash,"
    " hash, memory_seq, query_key, snapshot_id, summary_id, report, read_version, resolution, error_code, cost_usd, created_at, ended_at"
)
# Asked once, and paid once: a copy shows whose it is.
_COPY = f"""
INSERT INTO conversations_turn (id, conversation_id, copied_from_id, {_COPIED})
SELECT copied.to_id, %(fork)s, coalesce(copied_from_id, id), {_COPIED}
FROM unnest(%(from)s::uuid[], %(to)s::uuid[]) AS copied (from_id, to_id) JOIN conversations_turn ON id = copied.from_id
"""  # noqa: S608 -- our own names


def fork_conversation(*, original: Conversation, version: int, fork_id: UUID, created_by_id: UUID | None, now: datetime) -> Conversation:
    """Within a transaction. `version`: at most the original's.

    The copies have the same hashes, so retrievals that are pinned to them hold for both.
    """
    turns = original.turns.filter(state=TurnState.ANSWERED, number__lte=version).order_by("number")
    tip = turns.values_list("hash", flat=True).last() or first_hash(original.root_id)
    fork = Conversation.objects.create(
        id=fork_id,
        workspace_id=original.workspace_id,
        api_key_id=original.api_key_id,
        created_by_id=created_by_id or original.created_by_id,
        title=original.title,
        end_user=original.end_user,
        model_name=original.model_name,
        instructions=original.instructions,
        collection_id=original.collection_id,
        window_tokens=original.window_tokens,
        on_conflict=original.on_conflict,
        root_id=original.root_id,
        forked_from_id=original.id,
        forked_at_version=version,
        version=version,
        tip_hash=tip,
        created_at=now,
        updated_at=now,
    )
    ids = list(turns.values_list("id", flat=True))
    with server_cursor() as cursor:
        cursor.execute(_COPY, {"fork": fork.id, "from": ids, "to": ids_in_order(len(ids))})
    summaries = list(original.summaries.filter(state=TurnState.ANSWERED, upto__lte=version))
    for summary in summaries:
        summary.id, summary.conversation = uuid7(), fork
    Summary.objects.bulk_create(summaries)
    if created_by_id:
        record_conversation(fork, "forked", after={"from": str(original.id), "at_version": version})
    return fork
