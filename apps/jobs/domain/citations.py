"""Citations in answers: `[2]` means the second of the passages that the answer was given."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.knowledge.domain.cited import CitedPassage

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


def cut_by(text: str, passages: Sequence[CitedPassage]) -> list[Said]:
    """The same, by the passages that there are."""
    return list(cut_citations(text, passages=max((passage.number for passage in passages), default=0)))


def cited_of(text: str, passages: Sequence[CitedPassage]) -> list[CitedPassage]:
    """Those that the text cites, in its order."""
    by_number = {passage.number: passage for passage in passages}
    return [by_number[number] for number in cited_numbers(text, passages=max(by_number, default=0)) if number in by_number]


def cited_numbers(text: str, *, passages: int) -> list[int]:
    """Each once, in the order of the answer."""
    return list(dict.fromkeys(said.number for said in cut_citations(text, passages=passages) if said.number))
