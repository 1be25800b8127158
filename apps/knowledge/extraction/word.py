"""Word documents (.docx): paragraphs, lists, tables and footnotes in the order of reading, as they would be printed."""

import io
from collections.abc import Iterator
from typing import Any

from apps.knowledge.domain.formats import DOCX
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.outline import Outline
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import flowing, row_text

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ALTERNATIVE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# What was deleted or moved away while changes are tracked, the second copy of a text box, and codes of fields.
_LEFT_OUT = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", f"{_W}rPr", f"{_W}pPr", _ALTERNATIVE})
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-", f"{_W}p": "\n"}
_LISTS = ("List ", "Bullet")
_HIGHEST_LEVEL = 9


def read_word(source: Source) -> Extracted:
    import docx  # noqa: PLC0415 -- only for its own format: it takes a fifth of a second

    document = docx.Document(io.BytesIO(source.content))
    sections = source.collect(_with_lists_joined(_sections(document)))
    core = document.core_properties
    heading = next((section.text for section in sections if section.kind == "heading"), None)
    return Extracted(
        media_type=DOCX, title=source.title(core.title, heading), language=(core.language or "")[:20], pages=1, sections=sections
    )


def _sections(document: Any) -> Iterator[Section]:
    outline = Outline()
    styles = {style.style_id: style for style in document.styles}
    for element in _blocks(document.element.body):
        if element.tag == f"{_W}tbl":
            yield outline.section(_table(element), "table")
            continue
        text = flowing(_text(element))
        style = styles.get(element.style)
        level = _level(element, style)
        if level and text:
            yield outline.heading(level, text)
        elif text and _is_item(element, style):
            yield outline.section(f"- {text}", "list")
        else:
            yield outline.section(text)
    yield from _notes(document, outline)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables; those within content controls and tracked insertions as well, which python-docx passes over."""
    waiting = list(reversed(parent))
    while waiting:
        element = waiting.pop()
        if element.tag in {f"{_W}p", f"{_W}tbl"}:
            yield element
        elif element.tag in {f"{_W}sdt", f"{_W}sdtContent", f"{_W}customXml", f"{_W}ins", f"{_W}moveTo"}:
            waiting.extend(reversed(element))


def _text(element: Any) -> str:
    """The text of a paragraph or cell, with what was inserted and without what was deleted."""
    pieces: list[str] = []
    waiting = [element]
    while waiting:
        node = waiting.pop()
        if node.tag in _LEFT_OUT:
            continue
        if node.tag == f"{_W}t":
            pieces.append(node.text or "")
        elif node.tag in _BREAKS and node is not element:
            pieces.append(_BREAKS[node.tag])
        waiting.extend(reversed(node))
    return "".join(pieces)


def _level(paragraph: Any, style: Any) -> int:
    """Of a heading, by its style, the style that is based on, or its own place in the outline; 0 for any other paragraph."""
    for _ in range(_HIGHEST_LEVEL):
        if style is None:
            break
        name = style.name or ""
        if name == "Title":
            return 1
        if name.startswith("Heading ") and name[8:].isdigit():
            return min(int(name[8:]), _HIGHEST_LEVEL)
        style = style.base_style
    own = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
    level = own.get(f"{_W}val") if own is not None else ""
    return int(level) + 1 if level and level.isdigit() and int(level) < _HIGHEST_LEVEL else 0


def _is_item(paragraph: Any, style: Any) -> bool:
    return paragraph.find(f"{_W}pPr/{_W}numPr") is not None or (style is not None and (style.name or "").startswith(_LISTS))


def _table(table: Any) -> str:
    rows = []
    for row in table.iter(f"{_W}tr"):
        if next(row.iterancestors(f"{_W}tbl")) is not table:
            continue  # of a table within a cell: its text stands in that cell
        cells = row.xpath("./w:tc | ./w:sdt/w:sdtContent/w:tc | ./w:ins/w:tc")
        rows.append(row_text([_text(cell) for cell in cells]))
    return "\n".join(filter(None, rows))


def _notes(document: Any, outline: Outline) -> Iterator[Section]:
    from docx.opc.constants import RELATIONSHIP_TYPE  # noqa: PLC0415 -- see read_word
    from docx.oxml.parser import parse_xml  # noqa: PLC0415 -- see read_word

    for kind, title in ((RELATIONSHIP_TYPE.FOOTNOTES, "Footnotes"), (RELATIONSHIP_TYPE.ENDNOTES, "Endnotes")):
        for relation in document.part.rels.values():
            if relation.reltype != kind or relation.is_external:
                continue
            notes: Any = parse_xml(relation.target_part.blob)
            texts = [flowing(_text(note)) for note in notes if note.get(f"{_W}type") in {None, "normal"}]
            if any(texts):
                yield outline.heading(1, title)
                yield outline.section("\n".join(f"- {text}" for text in texts if text), "list")


def _with_lists_joined(sections: Iterator[Section]) -> Iterator[Section]:
    """Items that follow each other are one list."""
    items: list[Section] = []
    for section in sections:
        if section.kind == "list" and (not items or items[-1].anchor == section.anchor):
            items.append(section)
            continue
        if items:
            yield Section(text="\n".join(item.text for item in items), kind="list", anchor=items[0].anchor)
        items = [section] if section.kind == "list" else []
        if not items and section.text:
            yield section
    if items:
        yield Section(text="\n".join(item.text for item in items), kind="list", anchor=items[0].anchor)
