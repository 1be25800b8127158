"""Run one tool call that a model asks for, on a thread of its own; whatever comes of it is recorded, and told to the model.

A call has one record for ever, by the item, the answer that asked and its place there. What has an end is not run again. A write that has
begun and has no end is not run again either: nobody knows whether it took effect, and the model is told so. A tool that writes into
the platform's own database alone runs in the transaction that records its end, so that it has an end or has done nothing.
"""

import threading
from dataclasses import dataclass, field

import orjson
import structlog
from django.db import transaction
from psycopg.errors import QueryCanceled

from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.tool import SideEffect, ToolAnswer, ToolContext, ToolFailedError
from apps.jobs.domain.tool_course import MOST_RESULT_BYTES, cut_result
from apps.jobs.domain.tool_wish import ToolUse
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.clock import current_time
from apps.lib.failpoints import failpoint
from apps.lib.sql import server_cursor
from apps.traces.actions import begin_effect, end_effect, find_end, lock_effect
from apps.traces.domain.records import EffectEnd, EffectRecord

log = structlog.get_logger(__name__)

_MOST_ARGUMENT_BYTES = 65_536
_STILL_OURS = "SELECT 1 FROM jobs_item WHERE id = %b AND run_id = %b AND state = 'running' FOR SHARE"
_UNKNOWN = "It is not known whether this call took effect: it was cut short before it could say so. Don't take it for done, nor for undone."
_TIMEOUT = "The tool did not answer within {seconds:g} seconds."


class ItemLostError(Exception):
    """Another run holds the item by now: nothing more is done for this one."""


class Verdict:
    """Whether a call ended in its time; said once, by the thread that runs it or by whoever waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: bool | None = None

    def say(self, *, in_time: bool) -> bool:
        """False when the other has said otherwise before."""
        with self._lock:
            if self._said is None:
                self._said = in_time
            return self._said is in_time


@dataclass(frozen=True, slots=True)
class ToolOrder:
    """One call: for which item, and which of which answer. `use` is None for a tool that there is not; `refusal` says why it isn't run."""

    item: ClaimedItem
    seq: int
    place: int
    name: str
    text: str
    arguments: object
    use: ToolUse | None
    refusal: str = ""
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def record(self) -> EffectRecord:
        tool = self.use.tool if self.use else None
        return EffectRecord(
            workspace_id=self.item.workspace_id,
            item_id=self.item.item_id,
            run_id=self.item.run_id,
            seq=self.seq,
            place=self.place,
            tool=(tool.name if tool else self.name)[:64],
            side_effect=tool.side_effect if tool else "",
            arguments=cut_result(self.text.encode("utf-8", "replace"), _MOST_ARGUMENT_BYTES),
            state=self.use.pin.state if self.use and self.use.pin else "",
        )

    @property
    def why_not(self) -> str | None:
        """Why it isn't run; None when it is."""
        if self.refusal:
            return self.refusal
        if len(self.text) > _MOST_ARGUMENT_BYTES:
            return f"The arguments have more than {_MOST_ARGUMENT_BYTES:,} characters."
        return f"There is no tool {self.name[:64]!r}." if self.use is None else self.use.tool.why_not(self.arguments)


def run_tool(order: ToolOrder) -> EffectEnd:
    """What the call came to, this time or before. Infrastructure errors are raised, ItemLostError when the item is another run's."""
    record = order.record
    with transaction.atomic():
        _require_item(order.item)
        state = begin_effect(record)
    failpoint("tool.begun")
    if state.end is not None:
        return state.end
    if (why := order.why_not) is not None:
        return _ended(record, _error("refused", why))
    use = _required(order.use)
    if not state.is_new and use.tool.side_effect is SideEffect.WRITE and not use.tool.in_transaction:
        return _ended(record, _error("unknown", _UNKNOWN))
    end = _run_and_record(order, record, use) if use.tool.in_transaction else _run_alone(order, record, use)
    failpoint("tool.ended")
    return end


def give_up(order: ToolOrder) -> EffectEnd:
    """Its time is up, or it never had its turn: recorded, unless the tool holds its record, and told."""
    use = _required(order.use)
    words = _TIMEOUT.format(seconds=use.tool.limit_seconds)
    is_open = use.tool.side_effect is SideEffect.WRITE and not use.tool.in_transaction
    end = _error("timeout", f"{words} {_UNKNOWN}" if is_open else words)
    with transaction.atomic():
        begin_effect(order.record)
        if end_effect(order.record, end, waits=False):
            return end
    return find_end(order.record) or end


def _run_alone(order: ToolOrder, record: EffectRecord, use: ToolUse) -> EffectEnd:
    end = _run(order, use)
    order.verdict.say(in_time=True)
    return _ended(record, end)


def _run_and_record(order: ToolOrder, record: EffectRecord, use: ToolUse) -> EffectEnd:
    """A failure undoes what it wrote, and is recorded by itself."""
    with transaction.atomic():
        if not lock_effect(record):
            return _found(record)
        end = _run(order, use)
        if not order.verdict.say(in_time=True):
            end = _error("timeout", _TIMEOUT.format(seconds=use.tool.limit_seconds))
        if end.outcome != "ok":
            transaction.set_rollback(True)
        else:
            end_effect(record, end)
    return end if end.outcome == "ok" else _ended(record, end)


def _run(order: ToolOrder, use: ToolUse) -> EffectEnd:
    tool, arguments = use.tool, order.arguments
    try:
        if tool.in_transaction:
            with server_cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %b, true)", (f"{tool.limit_seconds * 1000:.0f}",))
        said = tool.run(_context(order, use), arguments if isinstance(arguments, dict) else {})
        told = said if isinstance(said, ToolAnswer) else ToolAnswer(said)
        content = told.content if isinstance(told.content, str) else orjson.dumps(told.content).decode()
        return EffectEnd("ok", cut_result(content.encode("utf-8", "replace"), MOST_RESULT_BYTES), told.snapshot_id)
    except ToolFailedError as failed:
        return _error("failed", str(failed))
    except BaseException as error:
        if tool.in_transaction and isinstance(error.__cause__ or error, QueryCanceled):
            return _error("timeout", _TIMEOUT.format(seconds=tool.limit_seconds))
        if isinstance(error, INFRASTRUCTURE_ERRORS) and (tool.in_transaction or tool.is_ours or not _is_connected()):
            raise
        # Whatever else a tool raises is the model's to know, and a line in the log for the operator: also what would end a process.
        # Nobody cancels this thread, so nothing that comes out of it means the pump.
        ids = {"item_id": str(order.item.item_id), "run_id": str(order.item.run_id)}
        log.exception("tool_failed", tool=tool.name, state=use.pin.state if use.pin else None, **ids)
        return _error("failed", f"The tool failed: {type(error).__name__}.")


def _is_connected() -> bool:
    """Whether the platform's own database can be asked: then what could not be reached was the tool's own."""
    try:
        with server_cursor() as cursor:
            cursor.execute("SELECT 1")
    except INFRASTRUCTURE_ERRORS:
        return False
    return True


def _context(order: ToolOrder, use: ToolUse) -> ToolContext:
    item = order.item
    return ToolContext(
        workspace_id=item.workspace_id,
        api_key_id=item.api_key_id,
        end_user=item.end_user,
        item_id=item.item_id,
        run_id=item.run_id,
        idempotency_key=f"{item.item_id.hex}-{order.seq}-{order.place}",
        options=use.options,
        now=current_time(),
        pin=use.pin,
    )


def _require_item(item: ClaimedItem) -> None:
    with server_cursor() as cursor:
        cursor.execute(_STILL_OURS, (item.item_id, item.run_id))
        if cursor.fetchone() is None:
            raise ItemLostError


def _ended(record: EffectRecord, end: EffectEnd) -> EffectEnd:
    """What stands there: another run, or whoever gave it up, may have been quicker."""
    with transaction.atomic():
        if end_effect(record, end):
            return end
    return _found(record)


def _found(record: EffectRecord) -> EffectEnd:
    end = find_end(record)
    if end is None:
        # Forgotten meanwhile, with all that is known of the item.
        raise ItemLostError
    return end


def _error(outcome: str, message: str) -> EffectEnd:
    return EffectEnd(outcome, orjson.dumps({"error": message}))


def _required(use: ToolUse | None) -> ToolUse:
    if use is None:
        msg = "a tool that there is not can't be run"
        raise ValueError(msg)
    return use
