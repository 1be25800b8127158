"""Excel workbooks (.xlsx): sheet by sheet, what people see in the cells; nothing in them is run or fetched."""

import io
import re
import zipfile
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from apps.files.domain.cells import as_seen
from apps.knowledge.domain.anchors import numbered
from apps.knowledge.domain.formats import XLSX
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import one_line, row_text

# The most that a sheet can have; one that says it has a row beyond would be padded with empty ones up to there.
_MOST_ROWS = 1_048_576
_CHUNK_BYTES = 1 << 20
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")


def read_workbook(source: Source) -> Extracted:
    import openpyxl  # noqa: PLC0415 -- only for its own format: it takes a fifth of a second

    def book(*, values: bool) -> Any:
        return openpyxl.load_workbook(io.BytesIO(source.content), read_only=True, data_only=values, keep_links=False)

    seen = book(values=True)
    # Reading twice costs twice: only for what formulas say where nothing was calculated.
    written = book(values=False) if _has_formulas(source) else None
    sheets = [sheet for sheet in seen.worksheets if sheet.sheet_state == "visible"]
    source.check_pages(len(sheets), "sheets")
    sections = source.collect(section for sheet in sheets for section in _sheet(sheet, written))
    core = seen.properties
    return Extracted(
        media_type=XLSX, title=source.title(core.title), language=(core.language or "")[:20], pages=max(len(sheets), 1), sections=sections
    )


def _has_formulas(source: Source) -> bool:
    with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
        for part in archive.infolist():
            if not part.filename.startswith("xl/worksheets/"):
                continue
            with archive.open(part) as content:
                before = b""
                while chunk := content.read(_CHUNK_BYTES):
                    if _FORMULA.search(before + chunk):
                        return True
                    before = chunk[-16:]
    return False


def _sheet(seen: Any, written: Any) -> Iterator[Section]:
    """Its name, and each block of rows without an empty one between them: a table. Nothing when it is empty."""
    name = one_line(seen.title)
    rows: list[str] = []
    number = said = 0
    for number, cells in enumerate(_rows(seen, written[seen.title] if written else None), start=1):
        if number > _MOST_ROWS:
            raise Refused("damaged", f"The sheet {name!r} has rows beyond {_MOST_ROWS:,}, the most that a sheet can have.")
        if row := row_text(cells):
            if not said:
                yield Section(text=name, kind="heading", level=1, anchor=f"sheet {name}")
            said = 1
            rows.append(row)
        elif rows:
            yield _block(rows, number - 1, name)
            rows = []
    if rows:
        yield _block(rows, number, name)


def _block(rows: list[str], last: int, name: str) -> Section:
    anchor = numbered("row", last - len(rows) + 1, last, f"sheet {name}, ")
    return Section(text="\n".join(rows), kind="table" if len(rows) > 1 else "text", anchor=anchor)


def _rows(seen: Any, written: Any) -> Iterator[list[str]]:
    """What a formula came to when it was saved; the formula itself where the program that wrote the file did not calculate."""
    for sheet in filter(None, (seen, written)):
        # The size that a file states for itself may be a lie that fills the memory.
        sheet.reset_dimensions()
    if written is None:
        for row in seen.iter_rows():
            yield [_cell(value) for value in row]
        return
    for values, formulas in zip_longest(seen.iter_rows(), written.iter_rows(), fillvalue=()):
        yield [_cell(value if value.value is not None else formula) for value, formula in zip(values, formulas, strict=False)]


def _cell(cell: Any) -> str:
    value = cell.value
    return value or "" if value is None or isinstance(value, str) else as_seen(value, cell.number_format)
