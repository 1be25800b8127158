"""Plain text: its paragraphs, each with the lines where it stands."""

import re
from collections.abc import Iterator

from apps.knowledge.domain.anchors import numbered
from apps.knowledge.domain.formats import PLAIN
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.decoding import decode
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import clean, with_line_ends

# How printers and terminals are told of bold and underlined letters: one struck over another; colours, and other orders to a terminal.
_STRUCK_OVER = re.compile("[^\n]\b")
_ORDER = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")


def read_plain(source: Source) -> Extracted:
    sections = source.collect(_paragraphs(_seen(with_line_ends(decode(source.content)))))
    return Extracted(media_type=PLAIN, title=source.title(), pages=1, sections=sections)


def _seen(text: str) -> str:
    """As it looks when it is printed, without bold and colours."""
    return _ORDER.sub("", _STRUCK_OVER.sub("", text))


def _paragraphs(text: str) -> Iterator[Section]:
    lines: list[str] = []
    number = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            lines.append(line)
        elif lines:
            yield _paragraph(lines, number - 1)
            lines = []
    if lines:
        yield _paragraph(lines, number)


def _paragraph(lines: list[str], last: int) -> Section:
    return Section(text=clean("\n".join(lines)), anchor=numbered("line", last - len(lines) + 1, last))
