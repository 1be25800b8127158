"""What a file is: by its content; among kinds of text, by its name as well."""

import re
from collections.abc import Callable

from apps.knowledge.domain.formats import (
    CSV,
    DOCX,
    EMAIL,
    HTML,
    MARKDOWN,
    NAMES,
    PDF,
    PLAIN,
    PPTX,
    TAKEN,
    TYPE_OF_ENDING,
    XLSX,
    ending_of,
)  # fmt: skip
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted
from apps.knowledge.extraction.decoding import looks_binary
from apps.knowledge.extraction.delimited import read_delimited
from apps.knowledge.extraction.mail import read_mail
from apps.knowledge.extraction.markdown import read_markdown
from apps.knowledge.extraction.package import check_package, open_package, package_type
from apps.knowledge.extraction.pdf import read_pdf
from apps.knowledge.extraction.plain import read_plain
from apps.knowledge.extraction.slides import read_slides
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.web_page import read_web_page
from apps.knowledge.extraction.word import read_word
from apps.knowledge.extraction.workbook import read_workbook

READERS: dict[str, Callable[[Source], Extracted]] = {
    PDF: read_pdf,
    DOCX: read_word,
    PPTX: read_slides,
    XLSX: read_workbook,
    HTML: read_web_page,
    MARKDOWN: read_markdown,
    PLAIN: read_plain,
    CSV: read_delimited,
    EMAIL: read_mail,
}
_HEAD_BYTES = 4096
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_KINDS = {
    "WordDocument": "an old Word document (.doc); save it as .docx",
    "PowerPoint Document": "an old presentation (.ppt); save it as .pptx",
    "Workbook": "an old workbook (.xls); save it as .xlsx",
    "__substg1.0_": "an Outlook message (.msg); save it as .eml",
}
_OTHERS = {
    b"{\\rtf": "Rich Text; save it as .docx or PDF",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first, or make it a zip",
    b"Rar!": "a RAR archive; unpack it first, or make it a zip",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it first",
    b"\x89PNG": "a picture; run text recognition (OCR) over it",
    b"\xff\xd8\xff": "a picture; run text recognition (OCR) over it",
    b"GIF8": "a picture; run text recognition (OCR) over it",
    b"II*\0": "a picture; run text recognition (OCR) over it",
    b"MM\0*": "a picture; run text recognition (OCR) over it",
    b"RIFF": "a picture, sound or film",
    b"ID3": "sound",
    b"OggS": "sound or film",
    b"SQLite format 3\0": "a database; export what is to be read",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"%!PS": "PostScript; save it as PDF",
}
_WEB_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL
)
# Mailboxes put a line of their own before a message.
_HEADER_LINE = re.compile(rb"(?:>?From [^\r\n]*\r?\n)?(?:[A-Za-z][A-Za-z0-9-]{0,60}:[ \t]?[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n)+")
_TELLING_HEADERS = re.compile(
    rb"^(from|to|subject|date|message-id|received|mime-version|return-path|delivered-to):", re.IGNORECASE | re.MULTILINE
)


def reader_of(source: Source) -> Callable[[Source], Extracted]:
    """The function that reads it; Refused when none does, or when its name says that it is something else."""
    head = source.content[:_HEAD_BYTES]
    named = TYPE_OF_ENDING.get(ending_of(source.filename))
    found = _binary(source, head) or _text(head, named)
    if found is None:
        message = f"Its name says {NAMES[named]}, which its content is not." if named else "It is binary data of no kind that is read."
        raise Refused("wrong_type" if named else "unsupported_format", f"{message} Taken are {TAKEN}.")
    if named not in {None, found, PLAIN if found in {HTML, EMAIL} else found}:
        raise Refused(
            "wrong_type", f"Its name says {NAMES[str(named)]}, but it is {NAMES[found]}. Give it the right name, or the right file."
        )
    return READERS[found]


def _binary(source: Source, head: bytes) -> str | None:
    """Its type when it is one of those that programs write; Refused when it is one that is not read."""
    if head[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"%PDF-"):
        return PDF
    if head.startswith(_ZIPS):
        return _zip(source)
    if head.startswith(_OLE):
        raise _old(source.content)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise Refused("unsupported_format", f"It is {what}. Taken are {TAKEN}.")
    return None


def _zip(source: Source) -> str:
    with open_package(source) as archive:
        found = package_type(archive)
        if found is None:
            what = _other_archive(set(archive.namelist()))
            raise Refused("wrong_type" if ending_of(source.filename) in TYPE_OF_ENDING else "unsupported_format", what)
        check_package(archive, source.limits)
        return found


def _other_archive(names: set[str]) -> str:
    if "mimetype" in names and "META-INF/manifest.xml" in names:
        return f"It is an OpenDocument file. Save it as .docx, .pptx, .xlsx or PDF. Taken are {TAKEN}."
    return f"It is a zip archive, and no document. Taken are {TAKEN}, and zip archives of these where many may be uploaded."


def _old(content: bytes) -> Refused:
    """What the container of older office programs holds; newer ones put encrypted documents into it."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        return Refused("encrypted", "It is encrypted. Save it without a password.")
    what = next((told for name, told in _OLE_KINDS.items() if name.encode("utf-16-le") in content), "a file of an old office program")
    return Refused("unsupported_format", f"It is {what}. Taken are {TAKEN}.")


def _text(head: bytes, named: str | None) -> str | None:
    if looks_binary(head):
        return None
    if named in {PDF, DOCX, PPTX, XLSX}:
        return HTML if _WEB_PAGE.match(head) else PLAIN
    is_page, is_mail = bool(_WEB_PAGE.match(head)), _is_mail(head)
    if named == EMAIL:
        return EMAIL if is_mail or _HEADER_LINE.match(head) else PLAIN
    if is_page:
        return HTML
    if is_mail and named in {None, PLAIN}:
        return EMAIL
    return named or PLAIN


def _is_mail(head: bytes) -> bool:
    """It begins with lines of headers, several of which are those of e-mails."""
    lines = _HEADER_LINE.match(head)
    return lines is not None and len({name.lower() for name in _TELLING_HEADERS.findall(lines[0])}) >= 3
