"""Our key is taken out of what a provider says, also where it repeats it piece by piece: in a stream, and in the record of one.

Pieces belong together that are one text: what one choice says, the arguments of one tool. A provider that means to hide the key in its
answer has other ways; it knew it from the start.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson

from apps.lib.redaction import PieceRedactor, redact_bytes, without_beginning, without_begun
from apps.lib.sse import EventReader, write_event

_LOGPROBS = "logprobs"
# Said whole, in each chunk that has them.
_LABELS = {"role", "type", "id", "name"}
# Names of members, and of entries of lists the numbers that their `index` says.
_Path = tuple[str | int, ...]


class ChunkClearing:
    """The chunks of one streamed answer without our key. What may be the beginning of it is told with the next chunk of its choice."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._choices: dict[int, _Choice] = {}

    def clear(self, chunk: bytes) -> bytes:
        """`chunk` as it may be told: the same bytes, unless it holds a piece of what may be the key."""
        told = orjson.loads(chunk)
        changed = [self._choice_of(choice).clear(choice) for choice in told.get("choices") or ()]
        return redact_bytes(orjson.dumps(told) if any(changed) else chunk, self._secret)

    def _choice_of(self, told: dict[str, Any]) -> "_Choice":
        return self._choices.setdefault(told.get("index", 0), _Choice(self._secret))


class _Choice:
    """One choice: its texts so far, and the tokens of those that wait."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._texts: dict[_Path, PieceRedactor] = {}
        self._logprobs: dict[str, list[Any]] = {}

    def clear(self, told: dict[str, Any]) -> bool:
        """Whether the chunk says something else now."""
        delta = told.get("delta")
        if not isinstance(delta, dict):
            delta = told["delta"] = {}
        fed, is_changed, goes_on = set(), False, False
        for path, holder, name in _texts(delta, ()):
            piece = holder[name]
            holder[name] = self._texts.setdefault(path, PieceRedactor(self._secret)).feed(piece)
            is_changed, goes_on = is_changed or holder[name] != piece, goes_on or bool(piece)
            fed.add(path)
        # A text is over once its choice says something else, or nothing more: what waits there is not the key.
        is_over = bool(told.get("finish_reason"))
        for path, text in self._texts.items():
            if text.waits and (is_over or (goes_on and path not in fed)):
                _append(delta, path, text.end())
                is_changed = True
        return self._clear_logprobs(told) or is_changed

    def _clear_logprobs(self, told: dict[str, Any]) -> bool:
        """Tokens tell what the text tells: they wait with it, and once the key was in it they are left out."""
        found, waiting = told.get(_LOGPROBS), self._logprobs
        self._logprobs = {}
        if not waiting and not isinstance(found, dict):
            return False
        joined = _joined(waiting, found if isinstance(found, dict) else {})
        told[_LOGPROBS] = joined
        if any(text.has_found for text in self._texts.values()):
            told[_LOGPROBS] = None
        elif any(text.waits for text in self._texts.values()):
            self._logprobs, told[_LOGPROBS] = joined, None
        return bool(told[_LOGPROBS] != found)


def clear_answer(body: bytes, secret: str, *, is_events: bool, is_cut: bool) -> bytes:
    """What came over the wire, as it may be kept: the same object when the key isn't in it."""
    cleared = redact_bytes(body, secret)
    if is_events:
        cleared = _clear_events(cleared, secret)
    elif cleared is not body and b'"logprobs"' in cleared:
        cleared = _without_logprobs(cleared)
    return without_beginning(cleared, secret) if is_cut else cleared


def _clear_events(body: bytes, secret: str) -> bytes:
    """Events that were cut off: as they came, but for the texts that the key goes through, or its beginning at their end."""
    events = [_parsed(data) for data in EventReader().feed(body)]
    pieces: dict[_Path, list[tuple[dict[str, Any], str]]] = {}
    for event in events:
        for path, holder, name in _texts(event, ()):
            pieces.setdefault(path, []).append((holder, name))
    waits, has_found = False, False
    for places in pieces.values():
        text = PieceRedactor(secret)
        told = [text.feed(holder[name]) for holder, name in places]
        waits = waits or text.waits
        told[-1] += text.end(is_cut=True)
        if text.has_found:
            has_found = True
            for (holder, name), piece in zip(places, told, strict=True):
                holder[name] = piece
    end = max(body.rfind(b"\n\n") + 2, body.rfind(b"\n\r\n") + 3) if events else 0
    # How a text that waits goes on in half an event can't be told from the key.
    half = b"" if waits else without_begun(body[end:], secret)
    if not has_found:
        return body if len(half) == len(body) - end else body[:end] + half
    _leave_out_logprobs(events)
    return b"".join(write_event(event if isinstance(event, bytes) else orjson.dumps(event)) for event in events) + half


def _without_logprobs(body: bytes) -> bytes:
    answer = _parsed(body)
    if isinstance(answer, bytes):
        return body
    _leave_out_logprobs(answer)
    return orjson.dumps(answer)


def _leave_out_logprobs(value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == _LOGPROBS:
                value[name] = None
            else:
                _leave_out_logprobs(inner)
    elif isinstance(value, list):
        for entry in value:
            _leave_out_logprobs(entry)


def _parsed(data: bytes) -> Any:
    """Bytes for what is no JSON, or nested too deep to be written again."""
    try:
        found = orjson.loads(data)
        orjson.dumps(found)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return data.replace(b"\n", b" ")
    return found


def _texts(value: Any, path: _Path) -> Iterator[tuple[_Path, dict[str, Any], str]]:
    """Each text that may go on from piece to piece: where it belongs, the object that holds it, its name there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str):
                if name not in _LABELS:
                    yield (*path, name), value, name
            else:
                yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            if isinstance(entry, dict):
                index = entry.get("index")
                yield from _texts(entry, (*path, index if isinstance(index, int) else position))


def _append(delta: dict[str, Any], path: _Path, text: str) -> None:
    """Put `text` behind what the delta says there."""
    here: Any = delta
    for step, following in pairwise(path):
        here = _entry(here, step) if isinstance(step, int) else _member(here, step, list if isinstance(following, int) else dict)
    said = here.get(path[-1])
    here[path[-1]] = (said if isinstance(said, str) else "") + text


def _member(holder: dict[str, Any], name: str, kind: type) -> Any:
    if not isinstance(holder.get(name), kind):
        holder[name] = kind()
    return holder[name]


def _entry(entries: list[Any], index: int) -> dict[str, Any]:
    for entry in entries:
        if isinstance(entry, dict) and entry.get("index") == index:
            return entry
    added: dict[str, Any] = {"index": index}
    entries.append(added)
    return added


def _joined(first: dict[str, list[Any]], second: dict[str, Any]) -> dict[str, list[Any]]:
    names = dict.fromkeys([*first, *(name for name, entries in second.items() if isinstance(entries, list))])
    return {name: [*first.get(name, ()), *(second.get(name) or ())] for name in names}
