"""A workbook (.xlsx) of texts, made while it is sent: the parts of a zip archive in the order in which they can be known."""

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

SHEET_ROWS = 1_048_576
# An entry of a zip archive may have 2 GB before it needs a form that not every program reads.
SHEET_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 18
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# Spreadsheets read _x0041_ as an escaped letter, and XML has no form for these characters.
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Sink:
    """What the archive writes to; it can't be sought in, so nothing is ever written twice."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, content: bytes) -> int:
        self._waiting += content
        return len(content)

    def flush(self) -> None:
        """Nothing lies further down."""

    def take(self, least: int = 1) -> Iterator[bytes]:
        if len(self._waiting) >= least:
            yield bytes(self._waiting)
            self._waiting.clear()


def workbook_chunks(rows: Iterable[Sequence[str]], *, sheet_rows: int = SHEET_ROWS) -> Iterator[bytes]:
    """The bytes of a workbook whose first row is the header; what doesn't fit on a sheet goes on with it on a further one."""
    sink = _Sink()
    entries = iter(rows)
    header = _row(next(entries, ()))
    upcoming = next(entries, None)
    sheets = 0
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]  # a sink is all it needs
        while not sheets or upcoming is not None:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                size = sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode() + header)
                written = 1
                while upcoming is not None and written < sheet_rows and size < SHEET_BYTES:
                    size += sheet.write(_row(upcoming))
                    written += 1
                    upcoming = next(entries, None)
                    yield from sink.take(_CHUNK_BYTES)
                sheet.write(b"</sheetData></worksheet>")
        for name, text in _parts(sheets).items():
            archive.writestr(name, _HEAD + text)
    yield from sink.take()


def _row(cells: Sequence[str]) -> bytes:
    return ("<row>" + "".join(map(_cell, cells)) + "</row>").encode()


def _cell(text: str) -> str:
    """A text, whatever it looks like."""
    if not text:
        return "<c/>"
    plain = escape(_ESCAPED.sub("_x005F_", _UNWRITABLE.sub("", text)), {"\r": "&#13;"})
    return f'<c t="inlineStr"><is><t xml:space="preserve">{plain}</t></is></c>'


def _parts(sheets: int) -> dict[str, str]:
    """What ties the sheets together; known once their number is."""
    numbers = range(1, sheets + 1)
    types = "".join(f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers)
    names = "".join(f'<sheet name="results{n if n > 1 else ""}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    links = "".join(f'<Relationship Id="rId{n}" Type="{_LINKS}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers)
    return {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{types}</Types>'
        ),
    }
