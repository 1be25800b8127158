"""Documents made for the tests, by the libraries that write such files or byte by byte."""

import io
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx
from pptx.util import Inches


def word(build: Callable[[Any], None], **properties: str) -> bytes:
    document = docx.Document()
    build(document)
    for name, value in properties.items():
        setattr(document.core_properties, name, value)
    return _saved(document)


def slides(build: Callable[[Any], None]) -> bytes:
    presentation = pptx.Presentation()
    build(presentation)
    return _saved(presentation)


def add_slide(presentation: Any, title: str, lines: Sequence[str], notes: str = "") -> Any:
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = title
    slide.placeholders[1].text = "\n".join(lines)
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    return slide


def add_table(slide: Any, rows: Sequence[Sequence[str]]) -> None:
    shape = slide.shapes.add_table(len(rows), len(rows[0]), Inches(1), Inches(4), Inches(6), Inches(1))
    for cells, row in zip(shape.table.rows, rows, strict=True):
        for cell, text in zip(cells.cells, row, strict=True):
            cell.text = text


def workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(book)


def mail(subject: str, text: str, html: str = "", attached: Sequence[tuple[str, bytes]] = ()) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Ann <ann@example.org>", "bob@example.org"
    message["Date"] = "Mon, 02 Nov 2026 10:00:00 +0100"
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    for name, content in attached:
        message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return message.as_bytes()


def archive(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return made.getvalue()


def changed(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A document that is an archive inside, with one part changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        return archive(*((name, change(source.read(name)) if name == part else source.read(name)) for name in source.namelist()))


def pdf(
    *pages: Sequence[str | bytes], outline: Sequence[tuple[str, int]] = (), title: str = "", language: str = "", more: bytes = b""
) -> bytes:
    """Lines in Helvetica, those of bytes in the language of pages; an outline of (title, page from 0); `more` goes into the trailer."""
    first = 5
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R%b%b >>" % (
                   b" /Outlines 4 0 R" if outline else b"", b" /Lang (%b)" % language.encode() if language else b""),
               3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"}  # fmt: skip
    for number, lines in enumerate(pages):
        shown = b"".join((line if isinstance(line, bytes) else b"(%b) Tj" % _escaped(line)) + b" 0 -14 Td\n" for line in lines)
        content = b"BT /F1 11 Tf 50 780 Td\n%bET" % shown
        objects[first + 2 * number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % (first + 2 * number + 1)
        )
        objects[first + 2 * number + 1] = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)
    kids = b" ".join(b"%d 0 R" % (first + 2 * number) for number in range(len(pages)))
    objects[2] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(pages), kids)
    begin = first + 2 * len(pages)
    info, entries = begin + len(outline), range(begin, begin + len(outline))
    objects[4] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R >>" % (begin, begin + len(outline) - 1) if outline else b"null"
    for entry, (name, page) in zip(entries, outline, strict=True):
        beside = b" /Next %d 0 R" % (entry + 1) if entry + 1 in entries else b""
        objects[entry] = b"<< /Title (%b) /Parent 4 0 R /Dest [%d 0 R /Fit]%b >>" % (_escaped(name), first + 2 * page, beside)
    objects[info] = b"<< /Title (%b) >>" % _escaped(title)
    return assembled(objects, b"/Root 1 0 R /Info %d 0 R %b" % (info, more))


def assembled(objects: dict[int, bytes], trailer: bytes) -> bytes:
    """A PDF of these objects, with its table of places."""
    made, places = bytearray(b"%PDF-1.7\n"), {}
    for number, content in sorted(objects.items()):
        places[number] = len(made)
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (max(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % places[number] for number in range(1, max(objects) + 1))
    return bytes(made + b"trailer\n<< /Size %d %b >>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, trailer, table))


def scanned_pdf(pages: int = 1) -> bytes:
    """A picture on each page, as a scanner makes them."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>",
               3: b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\n"
                  b"stream\n\x80\nendstream",
               4: b"<< /Length 29 >>\nstream\nq 500 0 0 700 50 50 cm /I Do Q\nendstream"}  # fmt: skip
    for number in range(pages):
        objects[5 + number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /I 3 0 R >> >> >>"
        )
    objects[2] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (pages, b" ".join(b"%d 0 R" % (5 + number) for number in range(pages)))
    return assembled(objects, b"/Root 1 0 R")


def _escaped(text: str) -> bytes:
    return text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _saved(document: Any) -> bytes:
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()
