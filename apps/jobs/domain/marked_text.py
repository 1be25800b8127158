"""A document's text with what an answer rests on marked in it: the passages that were retrieved, and values where they stand literally."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Of a long text what is far from every mark is left out.
_WHOLE = 60_000
_AROUND = 1_200
_MOST_PLACES = 3
_MOST_VALUES = 100
_SHORTEST, _LONGEST = 2, 500


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the text: of a passage (`cited` or `found`; `key` is its number), or of a `value` (`key` is its field)."""

    kind: str
    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A text with the marks that cover all of it. `begins`: those that begin with it for the first time.

    `left_out`: so many characters before it are.
    """

    text: str
    marks: tuple[Mark, ...] = ()
    begins: tuple[Mark, ...] = ()
    left_out: int = 0

    @property
    def kind(self) -> str:
        """The strongest of its marks; empty without one."""
        return next((kind for kind in ("value", "cited", "found") if any(mark.kind == kind for mark in self.marks)), "")


def find_values(text: str, answer: Any) -> list[Mark]:
    """Where the values of a JSON answer stand literally, a few places each; white space and the case of letters don't matter."""
    marks = []
    for field, value in list(_leaves(answer, ""))[:_MOST_VALUES]:
        spellings = [spelling for spelling in _spellings(value) if _SHORTEST <= len(spelling) <= _LONGEST]
        if not spellings:
            continue
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(_literal, spellings))})(?!\w)", re.IGNORECASE)
        for count, found in enumerate(pattern.finditer(text)):
            if count == _MOST_PLACES:
                break
            marks.append(Mark("value", field, found.start(), found.end()))
    return marks


def _leaves(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, field)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and field:
        yield field, value


def _spellings(value: str | float) -> list[str]:
    """A number as people write it, too."""
    if isinstance(value, str):
        return [value.strip()]
    told = [str(value), f"{value:,}", f"{value:.2f}", f"{value:,.2f}"]
    return list(dict.fromkeys([*told, *(text.removesuffix(".0") for text in told)]))


def _literal(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.split())


def mark_text(text: str, marks: Iterable[Mark]) -> list[Piece]:
    """The text in pieces, in order; of a long one, the neighbourhood of the marks, or its beginning when there is none."""
    good = sorted({mark for mark in marks if 0 <= mark.start < mark.end <= len(text)}, key=lambda mark: (mark.start, -mark.end, mark.key))
    edges = sorted({0, len(text), *(mark.start for mark in good), *(mark.end for mark in good)})
    seen: set[tuple[bool, str]] = set()
    pieces = [_piece(text, good, start, end, seen) for start, end in itertools.pairwise(edges)]
    return pieces if len(text) <= _WHOLE else list(_near(pieces))


def _piece(text: str, marks: Sequence[Mark], start: int, end: int, seen: set[tuple[bool, str]]) -> Piece:
    covering = tuple(mark for mark in marks if mark.start <= start and mark.end >= end)
    begins = []
    for mark in covering:
        name = (mark.kind == "value", mark.key)
        if mark.start == start and name not in seen:
            seen.add(name)
            begins.append(mark)
    return Piece(text[start:end], covering, tuple(begins))


def _near(pieces: Sequence[Piece]) -> Iterator[Piece]:
    if len(pieces) == 1:
        yield Piece(pieces[0].text[:_WHOLE])
        yield Piece("", left_out=len(pieces[0].text) - _WHOLE)
        return
    for number, piece in enumerate(pieces):
        if piece.marks or len(piece.text) <= 3 * _AROUND:
            yield piece
            continue
        head = 0 if number == 0 else _AROUND
        tail = 0 if number == len(pieces) - 1 else _AROUND
        if head:
            yield Piece(piece.text[:head])
        yield Piece(piece.text[len(piece.text) - tail :], left_out=len(piece.text) - head - tail)
