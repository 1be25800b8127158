"""Where a reader finds something in a document, in words."""

import re

_NUMBERED = re.compile(r"(?P<before>(?:.*, )?)(?P<word>page|slide|row|line)s? (?P<first>\d+)(?:-(?P<last>\d+))?", re.DOTALL)


def numbered(word: str, first: int, last: int, before: str = "") -> str:
    """Like "page 3", "rows 2-40" or "sheet Prices, rows 2-40"."""
    return f"{before}{word} {first}" if first == last else f"{before}{word}s {first}-{last}"


def join_anchors(first: str, last: str) -> str:
    """One anchor for what reaches from one to the other: "pages 3-4"."""
    if first == last or not last:
        return first
    if not first:
        return last
    begin, end = _NUMBERED.fullmatch(first), _NUMBERED.fullmatch(last)
    if begin and end and (begin["before"], begin["word"]) == (end["before"], end["word"]):
        return numbered(begin["word"], int(begin["first"]), int(end["last"] or end["first"]), begin["before"])
    return f"{first} to {last}"


def row_anchor(anchor: str, line: int, lines: int) -> str:
    """The anchor of one row of a table whose anchor tells all its rows; that of the table when rows and lines don't match."""
    found = _NUMBERED.fullmatch(anchor)
    if not found or found["word"] != "row" or int(found["last"] or found["first"]) - int(found["first"]) + 1 != lines:
        return anchor
    return numbered("row", int(found["first"]) + line, int(found["first"]) + line, found["before"])
