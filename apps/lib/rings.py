"""What a message on the broker must be before a worker heeds it: a ring of ours, in form, name and arguments.

Whoever can write to the broker can put anything there. What is no ring is dropped, with one line in the log, before anything of it
runs or is stored: Celery itself would keep a result for an unknown task, and end the whole worker over a message without an id.
"""

import base64
import inspect
from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

# The id of a row, as text: what is none never reaches the task.
RowId = NewType("RowId", str)

# A ring has about one thousand.
MAX_BYTES = 64 * 1024
_MAX_TEXT = 200
# What people are shown of arguments is cut by Celery, at about a thousand.
_MAX_TOLD = 4_000
_MAX_NUMBER = 2**31
_MAX_RETRIES = 10
# Nothing of ours waits longer for its next try; a message that waits is held in the worker's memory.
_MAX_DELAY = timedelta(hours=1)
_EMBEDDED = {"callbacks", "errbacks", "chain", "chord"}
_TEXTS = ("shadow", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")


def find_envelope_flaw(envelope: object) -> str:
    """Why kombu could not make a message of this; empty when it can."""
    if not isinstance(envelope, Mapping):
        return "it is no JSON object"
    headers, properties, body = envelope.get("headers"), envelope.get("properties"), envelope.get("body", "")
    if not isinstance(headers, Mapping) or headers.get("compression"):
        return "it has no headers, or is compressed"
    if (envelope.get("content-type"), envelope.get("content-encoding")) != ("application/json", "utf-8"):
        return "it is not said to be JSON in UTF-8"
    if not isinstance(properties, Mapping) or not _is_short(properties.get("delivery_tag")):
        return "it has no delivery tag"
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, Mapping) or not all(isinstance(delivery.get(name), str) for name in ("exchange", "routing_key")):
        return "it does not say how it was delivered"
    return _find_body_flaw(body, properties.get("body_encoding"))


def _find_body_flaw(body: object, encoding: object) -> str:
    if not isinstance(body, str) or encoding not in ("base64", None):
        return "its body is no text"
    return "" if encoding is None or _is_base64(body) else "its body is no base64"


def find_ring_flaw(headers: Mapping[str, Any], payload: object, *, tasks: Mapping[str, Any], queues: Container[str], now: datetime) -> str:
    """Why this is no ring for a worker that knows `tasks` and takes from `queues`; empty when it is one."""
    name = headers.get("task")
    task = tasks.get(name) if isinstance(name, str) and not name.startswith("celery.") else None
    if task is None:
        return "it names no task of ours"
    if (only_on := getattr(task, "only_on", None)) and only_on not in queues:
        return f"its task is taken from the queue {only_on} alone"
    return _find_header_flaw(headers, now) or _find_payload_flaw(payload, task)


def _find_header_flaw(headers: Mapping[str, Any], now: datetime) -> str:
    retries = headers.get("retries", 0)
    if not _is_short(headers.get("id")) or not headers["id"]:
        return "it has no id"
    if type(retries) is not int or not 0 <= retries <= _MAX_RETRIES:
        return "its number of retries is wrong"
    if headers.get("group") or headers.get("stamped_headers"):
        return "it belongs to a group"
    if not all(value is None or (isinstance(value, str) and len(value) <= _MAX_TOLD) for value in map(headers.get, _TEXTS)):
        return "one of its headers is no short text"
    if not all(headers.get(name) is None or _moment(headers[name]) for name in ("eta", "expires")):
        return "its times can't be read"
    due = _moment(headers.get("eta"))
    return "it is for a distant time" if due and due > now + _MAX_DELAY else ""


def _find_payload_flaw(payload: object, task: Any) -> str:
    if not isinstance(payload, list | tuple) or len(payload) != 3:
        return "its body is no list of three"
    positional, named, embedded = payload
    if positional or not isinstance(named, Mapping):
        return "its arguments have no names"
    if not isinstance(embedded, Mapping) or set(embedded) - _EMBEDDED or any(embedded.values()):
        return "it brings other tasks with it"
    hints, required = read_arguments(task.run)
    if set(named) - set(hints) or required - set(named):
        return "its arguments are not those of its task"
    wrong = sorted(name for name, value in named.items() if not _fits(value, hints[name]))
    return f"its argument {wrong[0]} is none for its task" if wrong else ""


@cache
def read_arguments(run: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """A task's arguments with their types, and those that it must be given."""
    function = inspect.unwrap(run)
    hints = {name: hint for name, hint in get_type_hints(function).items() if name != "return"}
    parameters = inspect.signature(function).parameters.values()
    return hints, frozenset(one.name for one in parameters if one.default is one.empty)


def is_known_type(hint: Any) -> bool:
    """Whether values of this type can be told from others; every task's arguments must be of such."""
    if get_origin(hint) in {Union, UnionType}:
        return all(map(is_known_type, get_args(hint)))
    return hint in {RowId, str, int, NoneType} or get_origin(hint) is Literal


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) in {Union, UnionType}:
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint is RowId:
        return _is_uuid(value)
    if hint is str:
        return _is_short(value)
    if hint is int:
        return type(value) is int and abs(value) < _MAX_NUMBER
    return hint is NoneType and value is None


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) == len(str(UUID(value)))
    except ValueError:
        return False


def _is_base64(body: str) -> bool:
    try:
        base64.b64decode(body, validate=True)
    except ValueError:
        return False
    return True


def _moment(value: object) -> datetime | None:
    """A moment with its zone; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
