"""Presentations (.pptx): slide by slide, with tables and what the speaker noted."""

import io
from collections.abc import Iterator
from typing import Any

from apps.knowledge.domain.formats import PPTX
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import flowing, one_line, row_text


def read_slides(source: Source) -> Extracted:
    import pptx  # noqa: PLC0415 -- only for its own format: it takes a third of a second

    presentation = pptx.Presentation(io.BytesIO(source.content))
    pages = len(presentation.slides)
    source.check_pages(pages, "slides")
    sections = source.collect(
        section for number, slide in enumerate(presentation.slides, start=1) for section in _slide(slide, f"slide {number}")
    )
    heading = next((section.text for section in sections if section.kind == "heading"), None)
    core = presentation.core_properties
    title = None if core.title == "PowerPoint Presentation" else core.title
    return Extracted(
        media_type=PPTX, title=source.title(title, heading), language=(core.language or "")[:20], pages=pages, sections=sections
    )


def _slide(slide: Any, anchor: str) -> Iterator[Section]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        yield Section(text=one_line(title.text_frame.text), kind="heading", level=1, anchor=anchor)
    for shape in _leaves(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if getattr(shape, "has_table", False):
            rows = (row_text([cell.text for cell in row.cells if not cell.is_spanned]) for row in shape.table.rows)
            yield Section(text="\n".join(filter(None, rows)), kind="table", anchor=anchor)
        elif shape.has_text_frame:
            yield _frame(shape.text_frame, anchor)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = flowing(slide.notes_slide.notes_text_frame.text)
        yield Section(text=f"Notes: {notes}" if notes else "", anchor=anchor)


def _leaves(shapes: Any) -> Iterator[Any]:
    """Every shape, of groups those within."""
    waiting = list(reversed(list(shapes)))
    while waiting:
        shape = waiting.pop()
        if hasattr(shape, "shapes"):
            waiting.extend(reversed(list(shape.shapes)))
        else:
            yield shape


def _frame(frame: Any, anchor: str) -> Section:
    lines = [("  " * paragraph.level, flowing(paragraph.text.replace("\v", "\n"))) for paragraph in frame.paragraphs]
    said = [(indent, line) for indent, line in lines if line]
    if len(said) > 1:
        return Section(text="\n".join(f"{indent}- {line}" for indent, line in said), kind="list", anchor=anchor)
    return Section(text="".join(line for _, line in said), anchor=anchor)
