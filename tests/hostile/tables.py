"""Tables that nobody should have made, generated: each with a piece of the message that it deserves (None: it is taken)."""

import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import openpyxl


@dataclass(frozen=True)
class Hostile:
    """A file to upload; `line` is the one that the message names."""

    name: str
    filename: str
    make: Callable[[], bytes]
    message: str | None
    line: int | None = None

    def __str__(self) -> str:
        return self.name


def workbook(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def changed(*, name: str = "xl/worksheets/sheet1.xml", content: Callable[[bytes], bytes] | None = None, extra: str = "") -> bytes:
    """A workbook with one part changed, or one more part."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("text",), ("hello",)))) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in source.namelist():
            old = source.read(part)
            archive.writestr(part, content(old) if content and part == name else old)
        if extra:
            archive.writestr(extra, b"x")
    return made.getvalue()


def sheet(rows: str) -> Callable[[bytes], bytes]:
    head = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return lambda _: f"{head}{rows}</sheetData></worksheet>".encode()


def _row(number: int, value: str) -> str:
    return f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>{value}</t></is></c></row>'


def bomb() -> bytes:
    """About 200 KB that unpack to 200 MB of blanks."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" ")
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            for _ in range(200):
                part.write(b" " * (1 << 20))
    return made.getvalue()


def entities(old: bytes) -> bytes:
    lines = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">{lines}]>'.encode() + old.split(b"?>", 1)[-1]


def lying_size(old: bytes) -> bytes:
    return old.replace(b'<dimension ref="A1:A2"', b'<dimension ref="A1:XFD1048576"')


def encrypted_flag() -> bytes:
    """The bit that says 'encrypted' set in the archive's own table."""
    content = bytearray(workbook(("text",), ("hello",)))
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<H", content, at + 8, struct.unpack_from("<H", content, at + 8)[0] | 1)
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(content)


def zip_of_something_else() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("word/document.xml", b"<w/>")
    return made.getvalue()


def _same(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _texts() -> Iterator[Hostile]:
    yield Hostile("blank lines", "a.csv", _same(b"\n\r\n\n"), "empty")
    yield Hostile("only a header", "a.csv", _same(b"text,n\n"), "a header and no rows")
    yield Hostile("ragged", "a.csv", _same(b"text,n\na,1\nb\n"), "It has 1 cells; the header has 2", 3)
    yield Hostile("ragged after a cell of many lines", "a.csv", _same(b'text,n\n"a\nb\nc",1\nd,2,3\n'), "It has 3 cells", 5)
    yield Hostile("semicolons", "a.csv", _same(b"text;n\na,b;1\n"), None)
    yield Hostile("pipes", "a.csv", _same(b"text|n\na|1\n"), None)
    yield Hostile("old line ends", "a.csv", _same(b"text,n\ra,1\rb,2\r"), None)
    yield Hostile("quotes over lines", "a.csv", _same(b'text,n\n"a ""quoted""\r\n\r\nb, c",1\n'), None)
    yield Hostile("a quote never closed", "a.csv", _same(b'text,n\na,1\n"b,2\nc,3\n'), "quotation mark missing", 3)
    yield Hostile("a quote that swallows megabytes", "a.csv", lambda: b'text\n"' + b"x" * (3 << 20), "quotation mark missing", 2)
    yield Hostile("NUL in a cell", "a.csv", _same(b"text,n\na\0b,1\n"), "U+0000", 2)
    yield Hostile("NUL in a name", "a.csv", _same(b"text,n\0\na,1\n"), "U+0000", 1)
    yield Hostile("formulas", "a.csv", _same(b'text\n=1+1\n@SUM(A1)\n+1\n-1\n"\t=1"\n'), None)
    yield Hostile("markup", "<script>alert(1)<.csv", _same(b"text,<script>alert(1)</script>\n<img src=x onerror=alert(1)>,1\n"), None)
    yield Hostile("doubled names", "a.csv", _same(b"text,text\na,b\n"), "Two columns are named", 1)
    yield Hostile("a nameless column", "a.csv", _same(b"text,,n\na,b,c\n"), "has no name", 1)
    yield Hostile("a name with braces", "a.csv", _same(b"text,{{text}}\na,b\n"), "double braces", 1)
    yield Hostile("a long name", "a.csv", _same(b"text," + b"n" * 5000 + b"\na,b\n"), "The name of column 2 has 5,000 characters", 1)
    yield Hostile(
        "a million columns", "a.csv", lambda: ",".join(f"c{n}" for n in range(1_000_000)).encode() + b"\n1\n",
        "1,000,000 columns; 1,000 at most", 1,
    )  # fmt: skip
    yield Hostile("a huge cell", "a.csv", lambda: b"text\n" + b"x" * (1 << 20) + b"\n", "more than 1,000,000 characters", 2)
    yield Hostile("a line of 40 MB", "a.csv", lambda: b"text\n" + b"x" * (40 << 20) + b"\n", "characters", 2)
    yield Hostile("a row of long cells", "a.csv", lambda: b"text,b,c,d,e\n" + b",".join([b"x" * 900_000] * 5), "together", 2)
    yield Hostile("latin-1", "a.csv", lambda: "text\nMünchen\n".encode("latin-1"), "not UTF-8 (byte 0xFC)", 2)
    yield Hostile("UTF-16 with a mark", "a.csv", lambda: "text\tn\nMünchen\t1\n".encode("utf-16"), None)
    yield Hostile("UTF-16 without a mark", "a.csv", lambda: ("text\tn\n" + "München\t1\n" * 20).encode("utf-16-le"), "binary data")
    yield Hostile("UTF-16 cut in the middle", "a.csv", lambda: "text\nMünchen\n".encode("utf-16")[:-1], "begins like UTF-16")


def _others() -> Iterator[Hostile]:
    yield Hostile("noise", "a.csv", lambda: random.Random(7).randbytes(50_000), "binary data")
    yield Hostile("a PDF", "a.csv", _same(b"%PDF-1.7\n%\xe2\xe3\n" + b"x" * 500), "no table but a PDF")
    yield Hostile("a PDF by another name", "a.xlsx", _same(b"%PDF-1.7\n" + b"x" * 500), "no table but a PDF")
    yield Hostile("a web page", "a.xls", _same(b"<!DOCTYPE html><table><tr><td>a</td></tr></table>"), "a web page")
    yield Hostile("gzip", "a.csv", _same(b"\x1f\x8b\x08\0\0\0\0\0" + b"x" * 100), "gzip")
    yield Hostile("a text by a workbook's name", "a.xlsx", _same(b"text\nhello\n"), None)
    yield Hostile("an old or locked workbook", "a.xlsx", _same(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600), "password")
    yield Hostile("a zip of something else", "a.xlsx", zip_of_something_else, "no .xlsx workbook")
    yield Hostile("a broken zip", "a.xlsx", _same(b"PK\x03\x04" + b"\0" * 300), "damaged zip")
    yield Hostile("a workbook cut short", "a.xlsx", lambda: workbook(("text",), ("hello",))[:-200], "damaged zip")
    yield Hostile("a zip bomb", "a.xlsx", bomb, "unpacks to far more")
    yield Hostile("an XML bomb", "a.xlsx", lambda: changed(content=entities), "XML entities")
    yield Hostile("an XML bomb in the styles", "a.xlsx", lambda: changed(name="xl/styles.xml", content=entities), "XML entities")
    yield Hostile("macros", "a.xlsm", lambda: changed(extra="xl/vbaProject.bin"), "macros")
    yield Hostile("an encrypted part", "a.xlsx", encrypted_flag, "encrypted")
    yield Hostile("no XML", "a.xlsx", lambda: changed(content=lambda _: b"\0\1\2 no xml"), "can't be read")
    yield Hostile("a size that lies", "a.xlsx", lambda: changed(content=lying_size), None)
    yield Hostile("formulas in a workbook", "a.xlsx", lambda: workbook(("text",), ("=1+1",), ("=HYPERLINK(1)",)), None)
    yield Hostile("an empty sheet", "a.xlsx", workbook, "empty")
    yield Hostile("a header in a workbook", "a.xlsx", lambda: workbook(("text",)), "a header and no rows")
    yield Hostile("a row too wide", "a.xlsx", lambda: workbook(("text",), ("a", "b", "c")), "It has 3 cells", 2)
    yield Hostile(
        "rows a world apart",
        "a.xlsx",
        lambda: changed(content=sheet(_row(1, "text") + _row(9_999_999_999, "a"))),
        "rows beyond 1,048,576",
        1_048_577,
    )


TABLES = [*_texts(), *_others()]
