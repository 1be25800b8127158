"""Doubled keys in JSON: readers disagree about which of the two holds, so nobody knows what such a text asks for."""

import json
import re
from typing import Any

_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


def find_doubled_key(text: bytes, value: Any) -> str | None:
    """A key that stands twice in one object of `text` (of which `value` was parsed); None when there is none.

    Nearly every text is judged by counting: as many `":` as keys came out. The others are parsed once more. RecursionError for a text
    that is nested deeper than Python calls.
    """
    if text.count(b'":') == _count_keys(value) and not _SPACED_COLON.search(text):
        return None
    try:
        json.loads(text, object_pairs_hook=_refuse_doubled, parse_int=float)
    except _DoubledKeyError as error:
        return error.key
    return None


class _DoubledKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _DoubledKeyError(name)
            seen.add(name)
    return found


def _count_keys(value: Any) -> int:
    count = 0
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if type(here) is dict:
            count += len(here)
            waiting.extend(part for part in here.values() if type(part) in {dict, list})
        elif type(here) is list:
            waiting.extend(part for part in here if type(part) in {dict, list})
    return count
