"""What is different between two versions, line by line."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from operator import eq

import orjson

from apps.prompts.domain.content import PromptContent

_AROUND = 3
# Matching takes the square of the lines where many are the same.
_MOST_LINES = 2_000
_MOST_PAIRS = 200_000
_Change = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was taken away, added or kept; `skipped` of a kept one: so many kept lines before it are left out."""

    change: str
    text: str
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class PartDifference:
    """One part of a version: its lines, if it is different."""

    name: str
    lines: tuple[Line, ...]


def compare(before: PromptContent, after: PromptContent) -> list[PartDifference]:
    """The parts that differ, in order."""
    return [
        PartDifference(name, tuple(compare_lines(one, other)))
        for (name, one), (_, other) in zip(_parts(before), _parts(after), strict=True)
        if one != other
    ]


def _parts(content: PromptContent) -> Iterator[tuple[str, list[str]]]:
    told = content.as_json()
    for name in ("system", "user"):
        yield name, told[name].splitlines()
    yield "variables", [orjson.dumps(variable).decode() for variable in told["variables"]]
    yield "model", [told["model"]] if told["model"] else []
    yield "parameters", [f"{name}: {orjson.dumps(value).decode()}" for name, value in sorted(told["parameters"].items())]
    schema = told["output_schema"]
    yield "output schema", [] if schema is None else orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode().splitlines()


def compare_lines(before: list[str], after: list[str]) -> Iterator[Line]:
    """The lines of two texts, those that are the same left out but for some around each change."""
    for kind, start, end, new_start, new_end in _changes(before, after):
        if kind == "equal":
            yield from _kept(before[start:end], is_first=start == 0, is_last=end == len(before))
        else:
            yield from (Line("removed", text) for text in before[start:end])
            yield from (Line("added", text) for text in after[new_start:new_end])


def _changes(before: list[str], after: list[str]) -> Iterator[_Change]:
    """What SequenceMatcher calls opcodes; of texts that it would take too long for, what is between the first and last difference."""
    shorter = min(len(before), len(after))
    head = sum(takewhile(bool, map(eq, before, after)))
    tail = min(sum(takewhile(bool, map(eq, reversed(before), reversed(after)))), shorter - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if head:
        yield "equal", 0, head, 0, head
    if _can_be_matched(old, new):
        for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            yield kind, head + start, head + end, head + new_start, head + new_end
    else:
        yield "replace", head, head + len(old), head, head + len(new)
    if tail:
        yield "equal", len(before) - tail, len(before), len(after) - tail, len(after)


def _can_be_matched(old: list[str], new: list[str]) -> bool:
    if max(len(old), len(new)) > _MOST_LINES:
        return False
    times = Counter(new)
    return sum(times[text] for text in old) <= _MOST_PAIRS


def _kept(lines: list[str], *, is_first: bool, is_last: bool) -> Iterator[Line]:
    """Some lines before and after each change."""
    head = 0 if is_first else _AROUND
    tail = 0 if is_last else _AROUND
    skipped = len(lines) - head - tail
    if skipped <= 1:
        yield from (Line("kept", text) for text in lines)
        return
    yield from (Line("kept", text) for text in lines[:head])
    yield Line("kept", "", skipped)
    yield from (Line("kept", text) for text in lines[len(lines) - tail :])
