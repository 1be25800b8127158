"""PDFs: page by page; the document's own outline tells which lines are headings."""

import ctypes
import re
from collections.abc import Iterator
from typing import Any

from apps.knowledge.domain.formats import PDF
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.accents import Accents
from apps.knowledge.extraction.blanks import Blanks
from apps.knowledge.extraction.letters import Letters
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import clean, one_line

_END_MARK = b"%%EOF"
_END_BYTES = 1 << 16
_HEAD_BYTES = 1024
_STATED_LENGTH = re.compile(rb"/Linearized\b[^>]{0,300}?/L\s+(\d{1,12})")
_MOST_HEADINGS = 20_000
_MOST_HEADING_LINES = 4
# How the library marks a hyphen at the end of a line, with the token around it; the line end it leaves out.
_HYPHENATED = re.compile("(?P<before>\\S*)[\x02\ufffe](?:\r?\n)?(?P<after>\\S*)")
_ENCRYPTED = "It needs a password. Save it without one (print it to a PDF), and upload that."
_DAMAGED = "It is damaged. Open it with its program and save it anew."

Headings = dict[int, list[tuple[int, str]]]


def read_pdf(source: Source) -> Extracted:
    import pypdfium2  # noqa: PLC0415 -- only for its own format
    from pypdfium2 import raw  # noqa: PLC0415 -- see above

    _check_end(source.content)
    try:
        document = pypdfium2.PdfDocument(source.content)
        pages = len(document)
        source.check_pages(pages, "pages")
        sections = source.collect(_sections(document, pages, raw), may_be_empty=True)
        if not sections:
            raise _without_text(document, pages)
        title = source.title(document.get_metadata_dict().get("Title"))
    except pypdfium2.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise Refused("encrypted", _ENCRYPTED) from error
        raise Refused("damaged", _DAMAGED) from error
    return Extracted(media_type=PDF, title=title, language=_language(document, raw), pages=pages, sections=sections)


def _check_end(content: bytes) -> None:
    """The library repairs what was cut off, and would quietly give the pages that are left."""
    stated = _STATED_LENGTH.search(content[:_HEAD_BYTES])
    if _END_MARK not in content[-_END_BYTES:] or (stated and int(stated[1]) > len(content)):
        raise Refused("damaged", "It was cut short: its end is missing. Upload it again, or save it anew.")


def _sections(document: Any, pages: int, raw: Any) -> Iterator[Section]:
    headings, blanks = _headings(document, pages), Blanks()
    for number in range(pages):
        page = document[number]
        try:
            textpage = page.get_textpage()
            try:
                text = clean(_HYPHENATED.sub(_rejoined, _mended(Letters(raw, textpage), blanks)))
            finally:
                textpage.close()
        finally:
            page.close()
        yield from _split(text, headings.get(number, []), f"page {number + 1}")


def _mended(letters: Letters, blanks: Blanks) -> str:
    """The page's text with accents on their letters, and with the blanks that the library leaves out."""
    instead = Accents(letters).join()
    gaps = set(blanks.find(letters, {index for index, other in instead.items() if not other}))
    if not instead and not gaps:
        return letters.text
    return "".join(f"{' ' if index in gaps else ''}{instead.get(index, character)}" for index, character in enumerate(letters.text))


def _rejoined(found: re.Match[str]) -> str:
    """A word that was parted is one again; "S-Plus", "2-3" and addresses keep the hyphen that they most likely have."""
    before, after = found["before"], found["after"]
    is_word = before[-1:].isalpha() and after[:1].islower() and not set("/@_\\") & set(before + after) and not before[-2:].isupper()
    return f"{before}{'' if is_word else '-'}{after}"


def _headings(document: Any, pages: int) -> Headings:
    """By page (from 0), level and title of each entry in the outline."""
    found: Headings = {}
    for number, entry in enumerate(document.get_toc()):
        if number >= _MOST_HEADINGS:
            break
        target = entry.get_dest()
        page = target.get_index() if target is not None else None
        title = one_line(entry.get_title())
        if title and page is not None and page < pages:
            found.setdefault(page, []).append((entry.level + 1, title))
    return found


def _split(text: str, headings: list[tuple[int, str]], anchor: str) -> Iterator[Section]:
    """The page's lines in order; lines that are a title of the outline, alone or a few together, are headings."""
    levels = {_letters(title): level for level, title in reversed(headings)}
    lines, kept, place = text.split("\n"), [], 0
    while place < len(lines):
        height, level = _heading_at(lines, place, levels) if levels else (0, 0)
        if not height:
            kept.append(lines[place])
            place += 1
            continue
        yield Section(text="\n".join(kept).strip("\n"), anchor=anchor)
        yield Section(text=one_line(" ".join(lines[place : place + height])), kind="heading", level=level, anchor=anchor)
        kept, place = [], place + height
    yield Section(text="\n".join(kept).strip("\n"), anchor=anchor)


def _heading_at(lines: list[str], place: int, levels: dict[str, int]) -> tuple[int, int]:
    """(how many lines, the level) of the heading that begins there; each title is found once."""
    for height in range(1, _MOST_HEADING_LINES + 1):
        letters = _letters(" ".join(lines[place : place + height]))
        for candidate in (letters, letters.lstrip("0123456789"), letters.removeprefix("chapter").lstrip("0123456789")):
            if letters and candidate in levels:
                return height, levels.pop(candidate)
    return 0, 0


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _language(document: Any, raw: Any) -> str:
    size = raw.FPDFCatalog_GetLanguage(document, None, 0)
    if not 2 < size < 200:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    raw.FPDFCatalog_GetLanguage(document, buffer, size)
    return one_line(bytes(buffer).decode("utf-16-le", "ignore"))[:20]


def _without_text(document: Any, pages: int) -> Refused:
    """Pictures of pages, or pages with nothing on them."""
    for number in range(pages):
        page = document[number]
        try:
            if next(page.get_objects(max_depth=2), None) is not None:
                message = (
                    "Its pages hold no text: they are pictures, as from a scanner. Run text recognition (OCR) over it, and upload that."
                )
                return Refused("no_text", message)
        finally:
            page.close()
    return Refused("empty", "Its pages are empty.")
