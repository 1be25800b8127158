"""Documents that nobody should have made, generated: each with the reason that it deserves (none: it is taken)."""

import io
import os
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.hostile.tables import bomb, changed, encrypted_flag, entities, sheet
from tests.knowledge.extraction.made import add_slide, archive, assembled, mail, pdf, scanned_pdf, slides, word
from tests.knowledge.extraction.made import changed as part_changed


@dataclass(frozen=True)
class HostileDocument:
    """A file to read, or to unpack; `codes` are those that may be its reason, `told` a piece of the message."""

    name: str
    filename: str
    make: Callable[[], bytes]
    codes: tuple[str, ...]
    told: str = ""

    def __str__(self) -> str:
        return self.name


# A bomb ends by the limit that it meets first.
_BOUNDED = ("out_of_memory", "timed_out", "crashed", "too_large")
_CATALOG = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"}
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> %b >> >>"
_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def text_document() -> bytes:
    return word(lambda document: [document.add_paragraph(f"Paragraph {n}, with some words.") for n in range(200)])  # type: ignore[arg-type,return-value]  # what it returns is not used


def packed(content: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        content = zlib.compress(content, 9)
    return content


def pdf_of_stream(stream: bytes, filters: bytes, *, more: bytes = b"", objects: dict[int, bytes] | None = None) -> bytes:
    content = b"<< /Length %d /Filter %b >>\nstream\n%b\nendstream" % (len(stream), filters, stream)
    return assembled(_CATALOG | {3: _PAGE % more, 4: content, 5: _FONT} | (objects or {}), b"/Root 1 0 R")


def words_bomb() -> bytes:
    """Half a megabyte that says 30,000,000 words."""
    return pdf_of_stream(
        packed(b"BT /F1 9 Tf " + b"(word word word word word word word word word word) Tj\n" * 5_000_000 + b"ET", 1), b"/FlateDecode"
    )


def twice_packed() -> bytes:
    """A few hundred bytes that unpack to 2 GB of blanks."""
    made = zlib.compressobj(9)
    once = b"".join([*(made.compress(b" " * (1 << 20)) for _ in range(2000)), made.flush()])
    return pdf_of_stream(packed(once), b"[/FlateDecode /FlateDecode]")


def forms_in_forms() -> bytes:
    """Each of 40 drawings draws the next one twice."""
    objects = {}
    for number in range(40):
        draws = b"/X Do /X Do" if number < 39 else b"BT /F1 9 Tf (boom) Tj ET"
        following = b"/XObject << /X %d 0 R >>" % (7 + number) if number < 39 else b"/Font << /F1 5 0 R >>"
        form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << %b >> /Length %d >>\nstream\n%b\nendstream"
        objects[6 + number] = form % (following, len(draws), draws)
    return pdf_of_stream(packed(b"/X Do"), b"/FlateDecode", more=b"/XObject << /X 6 0 R >>", objects=objects)


def deep_page_tree() -> bytes:
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
    for number in range(2, 20_000):
        objects[number] = b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % (number + 1)
    return assembled(objects | {20_000: b"<< /Type /Page /MediaBox [0 0 9 9] >>"}, b"/Root 1 0 R")


def endless_pages() -> bytes:
    return assembled({1: _CATALOG[1], 2: b"<< /Type /Pages /Count 2000000000 /Kids [2 0 R 2 0 R] >>"}, b"/Root 1 0 R")


def xref_loop() -> bytes:
    """Its table of places says that the one before it is itself, and nothing is where it says."""
    content = pdf(["Text."])
    at = content.rindex(b"xref\n0")
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 6 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (at, at)
    return content[:at] + table


def office_bomb(name: str, part: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed_parts:
        packed_parts.writestr(name, b" ")
        with packed_parts.open(part, "w") as stream:
            for _ in range(200):
                stream.write(b" " * (1 << 20))
    return made.getvalue()


def deep_xml(_: bytes) -> bytes:
    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return f"<w:document {names}><w:body>{'<w:p>' * 100_000}x{'</w:p>' * 100_000}</w:body></w:document>".encode()


def outside_entity(old: bytes) -> bytes:
    return (
        b'<?xml version="1.0"?><!-- %b --><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>' % (b"x" * 5000) + old.split(b"?>", 1)[-1]
    )


def quine_like() -> bytes:
    """An archive in an archive in an archive, and so on."""
    content = archive(("a.txt", b"A"))
    for _ in range(20):
        content = archive(("in.zip", content))
    return content


def _pdfs() -> Iterator[HostileDocument]:
    locked = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%b> /U <%b> /P -4 >> /ID [<00> <00>]" % (b"41" * 32, b"42" * 32)
    yield HostileDocument("a locked PDF", "a.pdf", lambda: pdf(["Text."], more=locked), ("encrypted",), "password")
    yield HostileDocument("a scanned PDF", "a.pdf", lambda: scanned_pdf(20), ("no_text",), "OCR")
    yield HostileDocument("a PDF cut short", "a.pdf", lambda: pdf(*([f"{n}"] for n in range(90)))[:-500], ("damaged",), "cut short")
    yield HostileDocument("a PDF of noise", "a.pdf", lambda: b"%PDF-1.7\n" + random.Random(1).randbytes(90_000) + b"%%EOF", ("damaged",))
    yield HostileDocument("a PDF of 30,000,000 words", "a.pdf", words_bomb, _BOUNDED)
    yield HostileDocument("a PDF that unpacks twice, to 2 GB", "a.pdf", twice_packed, (*_BOUNDED, "empty", "damaged"))
    yield HostileDocument("drawings in drawings", "a.pdf", forms_in_forms, (*_BOUNDED, "empty", "no_text"))
    yield HostileDocument("a tree of pages 20,000 deep", "a.pdf", deep_page_tree, (*_BOUNDED, "damaged", "empty"))
    yield HostileDocument("2,000,000,000 pages", "a.pdf", endless_pages, ("too_many_pages", "damaged", "empty"))
    yield HostileDocument("a table of places that leads to itself", "a.pdf", xref_loop, ("", "damaged"))
    yield HostileDocument("a zip by a PDF's name", "a.pdf", lambda: archive(("a.txt", b"A")), ("wrong_type",), "zip archive")


def _office() -> Iterator[HostileDocument]:
    yield HostileDocument("a Word document cut short", "a.docx", lambda: text_document()[:-100], ("damaged",), "cut short")
    yield HostileDocument("a Word document cut in half", "a.docx", lambda: text_document()[:15_000], ("damaged",), "cut short")
    yield HostileDocument("a bomb as a Word document", "a.docx", lambda: office_bomb("word/document.xml", "word/big.xml"), ("bomb",))
    yield HostileDocument("a bomb as a presentation", "a.pptx", lambda: office_bomb("ppt/presentation.xml", "ppt/big.xml"), ("bomb",))
    yield HostileDocument("a bomb as a workbook", "a.xlsx", bomb, ("bomb",), "far more")
    for part in ("word/document.xml", "word/styles.xml"):
        yield HostileDocument(
            f"entities in {part}", "a.docx", lambda part=part: part_changed(text_document(), part, entities), ("entities",)
        )  # type: ignore[misc]  # a default binds the loop's value
    yield HostileDocument(
        "a file of ours as an entity", "a.docx", lambda: part_changed(text_document(), "word/document.xml", outside_entity), ("entities",)
    )
    yield HostileDocument("entities in slides", "a.pptx", lambda: part_changed(
        slides(lambda made: add_slide(made, "A", ["b"])), "ppt/slides/slide1.xml", entities), ("entities",))  # fmt: skip
    yield HostileDocument("entities in a workbook", "a.xlsx", lambda: changed(content=entities), ("entities",))
    yield HostileDocument("XML 100,000 deep", "a.docx", lambda: part_changed(text_document(), "word/document.xml", deep_xml), ("damaged",))
    yield HostileDocument("no XML", "a.docx", lambda: part_changed(text_document(), "word/document.xml", lambda _: b"\0\1"), ("damaged",))
    far = '<row r="1"><c r="A1"><v>1</v></c></row><row r="9999999999"><c r="A9999999999"><v>1</v></c></row>'
    yield HostileDocument("rows a world apart", "a.xlsx", lambda: changed(content=sheet(far)), ("damaged", *_BOUNDED))
    yield HostileDocument("an encrypted part", "a.xlsx", encrypted_flag, ("encrypted",))
    yield HostileDocument("a locked Word document", "a.docx", lambda: (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")), ("encrypted",))  # fmt: skip
    yield HostileDocument(
        "macros", "a.docx", lambda: archive(("word/document.xml", b"<w/>"), ("word/vbaProject.bin", b"")), ("unsupported_format",)
    )


def _texts() -> Iterator[HostileDocument]:
    yield HostileDocument("noise", "a.txt", lambda: random.Random(7).randbytes(50_000), ("wrong_type",))
    yield HostileDocument("30 MB in one line", "a.txt", lambda: b"x" * (30 << 20), _BOUNDED)
    yield HostileDocument("a page 10,000 deep", "a.html", lambda: b"<html><body>" + b"<div><b>" * 10_000 + b"x", ("", *_BOUNDED))
    yield HostileDocument("tables in tables", "a.html", lambda: b"<html><body>" + b"<table><tr><td>x<td>y" * 1_000, ("", *_BOUNDED))
    yield HostileDocument("a page that runs", "a.html", lambda: b"<html><body><script>alert(1)</script>", ("empty",))
    yield HostileDocument(
        "a heading of a million blanks", "a.md", lambda: b"# " + b" " * 1_000_000 + b"x #" + b" " * 1_000_000 + b"y", ("",)
    )
    yield HostileDocument("a row of a million dashes", "a.md", lambda: b"a|b\n" + b"|-" * 500_000 + b"x", ("",))
    yield HostileDocument("fences without end", "a.md", lambda: b"```\n~~~\n" * 100_000, ("",))
    yield HostileDocument("a quote that swallows megabytes", "a.csv", lambda: b'a,b\n"' + b"x" * (3 << 20), ("damaged",))
    yield HostileDocument("300,000 columns", "a.csv", lambda: b"a," * 300_000 + b"\n" + b"1," * 300_000, ("", *_BOUNDED))
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1_500))
    yield HostileDocument(
        "an e-mail 1,500 deep", "a.eml", lambda: b"From: a@example.org\nSubject: x\n" + nested + b"\nx", ("", "damaged", *_BOUNDED)
    )
    yield HostileDocument("300,000 headers", "a.eml", lambda: b"From: a@example.org\n" + b"X-A: b\n" * 300_000 + b"\nx", ("", *_BOUNDED))
    yield HostileDocument("an encrypted e-mail", "a.eml", lambda: mail("S", "x").replace(
        b"Content-Type: text/plain", b"Content-Type: application/pkcs7-mime"), ("encrypted",))  # fmt: skip


def _archives() -> Iterator[HostileDocument]:
    yield HostileDocument("archives without end", "a.zip", quine_like, ("bomb",), "archive in an archive")
    yield HostileDocument("42 MB of zeros", "a.zip", lambda: archive(("a.txt", bytes(42 << 20))), ("bomb",), "100 times")
    yield HostileDocument("a way out", "a.zip", lambda: archive(("a.txt", b"A"), ("../../etc/cron.d/x", b"B")), ("bad_name",), "leads out")
    link = zipfile.ZipInfo("passwd.txt")
    link.external_attr = 0o120777 << 16
    yield HostileDocument("a link", "a.zip", lambda: archive((link, b"/etc/passwd")), ("bad_name",), "is a link")
    yield HostileDocument("20,000 members", "a.zip", lambda: archive(*((f"{n}.txt", b"") for n in range(20_000))), ("too_many_members",))
    yield HostileDocument("an archive cut short", "a.zip", lambda: archive(("a.txt", os.urandom(5000)))[:-30], ("damaged",), "cut short")


DOCUMENTS = [*_pdfs(), *_office(), *_texts()]
ARCHIVES = [*_archives()]
