"""Close turns and summaries whose items have ended: whoever reads a conversation does it first, and the sweep for those that nobody reads.

So it doesn't matter who waited for the answer, and whether that process still lives: the item's row is the truth.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from django.db import DataError

from apps.conversations import actions as conversations
from apps.conversations.domain.turns import TurnEnd
from apps.jobs.actions.summarise_conversation import ring_for_summary
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.tool_course import read_answer
from apps.lib.clock import current_time
from apps.lib.sql import server_cursor
from apps.lib.tokenizer import count_tokens
from apps.traces.queries import read_bodies

log = structlog.get_logger(__name__)

_AT_ONCE = 200
# One that has no item lost it with its workspace's retention: nothing will come.
_ENDED = """
SELECT kept.id, kept.conversation_id, item.state, item.answer_body_id, item.error_code, item.outcome, item.cost_usd
FROM conversations_{table} AS kept LEFT JOIN jobs_item AS item ON item.id = kept.item_id
WHERE kept.state = 'open' AND (item.state IS NULL OR item.state NOT IN ('waiting', 'running'))
  AND (%(conversation)s::uuid IS NULL OR kept.conversation_id = %(conversation)s)
  AND (%(item)s::uuid IS NULL OR kept.item_id = %(item)s)
ORDER BY kept.id LIMIT %(limit)s
"""


def close_turns(*, conversation_id: UUID | None = None, item_id: UUID | None = None) -> int:
    """Of a conversation, of an item, or all that are over; how many were closed."""
    closed = 0
    for turn_id, in_conversation, end in _ends("turn", conversation_id, item_id):
        if _close(turn_id, end):
            closed += 1
            if not end.error_code:
                ring_for_summary(in_conversation)
    return closed


def _close(turn_id: UUID, end: TurnEnd) -> bool:
    try:
        return conversations.close_turn(turn_id=turn_id, end=end, now=current_time())
    except (DataError, ValueError) as error:
        # One answer that can't be stored must not stand in the way of all others; the item keeps it as it came.
        log.warning("turn_not_storable", turn_id=str(turn_id), error=str(error))
        failed = TurnEnd(error_code="answer_not_storable", cost_usd=end.cost_usd)
        return conversations.close_turn(turn_id=turn_id, end=failed, now=current_time())


def close_summaries(*, conversation_id: UUID | None = None) -> int:
    closed = 0
    for summary_id, _, end in _ends("summary", conversation_id, None):
        if end.error_code:
            log.warning("not_summarised", summary_id=str(summary_id), reason=end.error_code)
        closed += conversations.close_summary(summary_id=summary_id, text=end.answer, tokens=end.answer_tokens, now=current_time())
    return closed


def _ends(table: str, conversation_id: UUID | None, item_id: UUID | None) -> list[tuple[UUID, UUID, TurnEnd]]:
    with server_cursor() as cursor:
        cursor.execute(_ENDED.format(table=table), {"conversation": conversation_id, "item": item_id, "limit": _AT_ONCE})
        rows = cursor.fetchall()
    bodies = read_bodies([row[3] for row in rows if row[2] == ItemState.DONE and row[3]])
    return [
        (key, conversation, _end(state, bodies.get(body), code or outcome, cost))
        for key, conversation, state, body, code, outcome, cost in rows
    ]


def _end(state: str | None, answer: bytes | None, reason: str | None, cost_usd: Any) -> TurnEnd:
    if state != ItemState.DONE:
        return TurnEnd(error_code=(reason or state or "item_gone")[:100], cost_usd=cost_usd or Decimal(0))
    read = read_answer(answer or b"")
    if read is None:
        return TurnEnd(error_code="answer_unreadable", cost_usd=cost_usd)
    message = read["choices"][0]["message"]
    text, calls = message.get("content") or message.get("refusal") or "", message.get("tool_calls") or None
    if not isinstance(text, str) or not (calls is None or _are_calls(calls)):
        return TurnEnd(error_code="answer_unreadable", cost_usd=cost_usd)
    # Postgres takes no U+0000 in a text.
    text = text.replace("\0", "\ufffd")
    return TurnEnd(answer=text, answer_tokens=count_tokens(text), tool_calls=calls, cost_usd=cost_usd)


def _are_calls(calls: Any) -> bool:
    """As results can be given to them: each with an id."""
    return isinstance(calls, list) and all(isinstance(call, dict) and isinstance(call.get("id"), str) for call in calls)
