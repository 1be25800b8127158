"""Markdown: headings, code, lists and tables as they are marked; the rest as it is written."""

import re
from collections.abc import Iterator

from apps.knowledge.domain.formats import MARKDOWN
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.decoding import decode
from apps.knowledge.extraction.outline import Outline
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import clean, row_text, with_line_ends

_HEADING = re.compile(r" {0,3}(#{1,6})(?=\s|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+\S")
_RULE = re.compile(r" {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_DELIMITER_ROW = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_CELL = re.compile(r"(?<!\\)\|")
_TITLE_IN_FRONT = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)


def read_markdown(source: Source) -> Extracted:
    text, front = _front_matter(with_line_ends(decode(source.content)))
    sections = source.collect(_sections(text.expandtabs(4).split("\n")))
    named = _TITLE_IN_FRONT.search(front)
    first = next((section.text for section in sections if section.kind == "heading"), None)
    title = source.title(named[1] if named else None, first)
    return Extracted(media_type=MARKDOWN, title=title, pages=1, sections=sections)


def _front_matter(text: str) -> tuple[str, str]:
    """The text, and what stands before it between two lines of three dashes."""
    if text.startswith("---\n") and (end := text.find("\n---\n", 3)) >= 0:
        return text[end + 5 :], text[4:end]
    return text, ""


def _sections(lines: list[str]) -> Iterator[Section]:
    outline = Outline()
    block: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        heading = _HEADING.match(line)
        if fence := _FENCE.match(line):
            yield from _blocks(block, outline)
            place, code = _fenced(lines, place, fence[1])
            block = []
            yield outline.section(code, "code")
            continue
        if heading:
            yield from _blocks(block, outline)
            block = []
            yield outline.heading(len(heading[1]), _without_closing(line[heading.end() :].strip()))
        elif block and (under := _UNDERLINE.match(line)) and not _ITEM.match(block[-1]) and "|" not in block[-1]:
            yield from _blocks(block[:-1], outline)
            yield outline.heading(1 if "=" in under[1] else 2, block[-1])
            block = []
        elif line.strip() and not _RULE.match(line):
            block.append(line)
        else:
            yield from _blocks(block, outline)
            block = []
        place += 1
    yield from _blocks(block, outline)


def _without_closing(title: str) -> str:
    """A heading may end with as many # as its writer likes."""
    rest = title.rstrip("#")
    return rest.rstrip() if not rest or rest[-1].isspace() else title


def _fenced(lines: list[str], place: int, fence: str) -> tuple[int, str]:
    """(the line after the closing fence, what stands between); a fence that is never closed reaches to the end."""
    end = place + 1
    while end < len(lines) and not (lines[end].strip().startswith(fence) and not lines[end].strip().strip(fence[0])):
        end += 1
    return end + 1, clean("\n".join(lines[place + 1 : end]))


def _blocks(block: list[str], outline: Outline) -> Iterator[Section]:
    """Of lines without an empty one between them."""
    if not block:
        return
    if len(block) > 1 and "|" in block[0] and _DELIMITER_ROW.match(block[1]):
        rows = (row_text([cell.replace("\\|", "|") for cell in _CELL.split(line.strip().strip("|"))]) for line in [block[0], *block[2:]])
        yield outline.section("\n".join(rows), "table")
    elif all(line.startswith("    ") for line in block) and not _ITEM.match(block[0]):
        yield outline.section(clean("\n".join(line[4:] for line in block)), "code")
    else:
        yield outline.section(clean("\n".join(block)), "list" if _ITEM.match(block[0]) else "text")
