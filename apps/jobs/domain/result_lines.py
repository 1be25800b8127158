"""The lines of output and error files, and of the results stream: one ended item, one JSON object.

What failed at HTTP level stands in `response.body.error` with `error` null; the top-level `error` is for the rest.
"""

from dataclasses import dataclass
from uuid import UUID

import orjson

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.savings import CACHE, REUSE

_CANCELLED = ("batch_cancelled", "This request was not run because the batch was cancelled.")
_EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
_ANSWER_GONE = ("answer_expired", "The answer was kept as long as the workspace's retention allows and is gone.")
_FIRST_HTTP_FAILURE = 300
_BEGIN = b'{"id":"batch_req_'


@dataclass(frozen=True, slots=True)
class EndedItem:
    """What a line tells about; `answer` is the provider's, as stored, `served_by` who gave it, as `provider/model`."""

    item_id: UUID
    custom_id: str
    state: str
    run_id: UUID | None
    status_code: int | None
    error_code: str
    error_message: str
    answer: bytes | None
    answered_by: str = ""
    served_by: str = ""
    reused_item_id: UUID | None = None


def result_line(item: EndedItem) -> bytes:
    """The line, with its line end."""
    head = _BEGIN + b'%s","custom_id":%s,' % (item.item_id.hex.encode(), orjson.dumps(item.custom_id))
    return head + _outcome(item) + b"}\n"


def item_of(line: bytes) -> UUID:
    """Whose line it is; of a line that `result_line` wrote."""
    return UUID(line[len(_BEGIN) : len(_BEGIN) + 32].decode())


def is_gone(line: bytes) -> bool:
    """True of the line of an answer that is kept no longer."""
    return line.endswith(_error(*_ANSWER_GONE) + b"}\n")


def _outcome(item: EndedItem) -> bytes:
    if item.state == ItemState.CANCELLED:
        return _error(*_CANCELLED)
    if item.state == ItemState.EXPIRED:
        return _error(*_EXPIRED)
    if item.state == ItemState.DONE:
        return _error(*_ANSWER_GONE) if item.answer is None else _response(item, 200, _one_line(item.answer))
    if item.status_code is None or item.status_code < _FIRST_HTTP_FAILURE:
        return _error(item.error_code or "request_failed", item.error_message or "The request could not be carried out.")
    return _response(item, item.status_code, _failure_body(item))


def _response(item: EndedItem, status_code: int, body: bytes) -> bytes:
    request_id = f"req_{item.run_id.hex if item.run_id else item.item_id.hex}".encode()
    # Beside what OpenAI's lines have; readers that don't know it pass over it.
    more = b'"cache":"hit",' if item.answered_by == CACHE else b""
    if item.answered_by == REUSE and item.reused_item_id:
        more += b'"reused_from":"batch_req_%s",' % item.reused_item_id.hex.encode()
    if item.served_by:
        more += b'"served_by":%s,' % orjson.dumps(item.served_by)
    status = item.status_code or status_code
    return b'"response":{"status_code":%d,"request_id":"%s",%s"body":%s},"error":null' % (status, request_id, more, body)


def _error(code: str, message: str) -> bytes:
    return b'"response":null,"error":' + orjson.dumps({"code": code, "message": message})


def _one_line(answer: bytes) -> bytes:
    """In JSON a raw line end can only stand between tokens, so a blank does as well and nothing is parsed again."""
    return answer.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in answer or b"\r" in answer else answer


def _failure_body(item: EndedItem) -> bytes:
    """The provider's own words when they are an error in OpenAI's shape, else ours."""
    try:
        body = orjson.loads(item.answer or b"")
    except orjson.JSONDecodeError:
        body = None
    if item.answer is not None and isinstance(body, dict) and isinstance(body.get("error"), dict):
        return _one_line(item.answer)
    error_type = "invalid_request_error" if (item.status_code or 0) < 500 else "server_error"
    return orjson.dumps({"error": {"message": item.error_message, "type": error_type, "param": None, "code": item.error_code or None}})
