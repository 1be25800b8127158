"""Citations in answers: `[2]` means the second of the passages that the answer was given."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CITATION = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3}){0,20})\]")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of an answer: a text, or (`number`) a citation of a passage that there is."""

    text: str
    number: int = 0


def cut_citations(text: str, *, passages: int) -> Iterator[Said]:
    """The pieces of an answer in order, which together are the answer. A number that no passage has is a text like any other."""
    end = 0
    for found in _CITATION.finditer(text):
        for number in _NUMBER.finditer(found.group(1)):
            start = found.start(1) + number.start()
            # `007` is no citation of the seventh.
            if not 1 <= int(number.group()) <= passages or number.group().startswith("0"):
                continue
            if start > end:
                yield Said(text[end:start])
            end = found.start(1) + number.end()
            yield Said(number.group(), int(number.group()))
    if end < len(text):
        yield Said(text[end:])


def cited_numbers(text: str, *, passages: int) -> list[int]:
    """Each once, in the order of the answer."""
    return list(dict.fromkeys(said.number for said in cut_citations(text, passages=passages) if said.number))
