"""Read a CSV, TSV or XLSX from standard input and print it as JSON lines.

The first line is `{"columns": [...], "sheets": [...]}`, then one `[line, [cells]]` for each row that is not empty, or
`{"error": "...", "line": n}` for one that is wrong. `{"fatal": "...", "line": n}` ends the output: nothing more can be read.
Started by `read_table` with limits of memory and processor time; it needs nothing but the standard library and openpyxl.
"""

import csv
import io
import json
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, BinaryIO

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 900
MAX_COLUMNS = 1000
MAX_CELL_CHARACTERS = 1_000_000
_UNPACKED_BYTES = 1 << 30
_DELIMITERS = ",;\t|"
_HEAD_BYTES = 65536
_OLE = b"\xd0\xcf\x11\xe0"
_ZIP = b"PK\x03\x04"


class UnreadableError(Exception):
    """Nothing (more) can be read; `line` is where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


Row = tuple[int, list[str]]


def main() -> None:
    sheet = sys.argv[1] if len(sys.argv) > 1 else ""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    out = sys.stdout
    try:
        for entry in _entries(sys.stdin.buffer, sheet):
            out.write(json.dumps(entry, ensure_ascii=False))
            out.write("\n")
    except UnreadableError as error:
        out.write(json.dumps({"fatal": error.message, "line": error.line}) + "\n")
    except MemoryError:
        out.write(json.dumps({"fatal": "The table needs more memory than is allowed for reading one.", "line": None}) + "\n")
    out.flush()


def _entries(stream: BinaryIO, sheet: str) -> Iterator[Any]:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if head.startswith(_OLE):
        raise UnreadableError("This is a password-protected workbook or an old .xls; save it as .xlsx without a password.")
    sheets: list[str] = []
    if head.startswith(_ZIP):
        sheets, rows = _workbook(stream, sheet)
    else:
        rows = _text_rows(stream, head)
    header = next(rows, None)
    if header is None:
        raise UnreadableError("The table is empty: its first row must name the columns.")
    columns = _columns(*header)
    yield {"columns": columns, "sheets": sheets}
    for line, cells in rows:
        yield _judged(line, cells, len(columns))


def _judged(line: int, cells: list[str], width: int) -> Any:
    while len(cells) > width and not cells[-1]:
        cells.pop()
    if len(cells) != width:
        return {"error": f"It has {len(cells)} cells; the header has {width}.", "line": line}
    if any(len(cell) > MAX_CELL_CHARACTERS for cell in cells):
        return {"error": f"A cell has more than {MAX_CELL_CHARACTERS:,} characters.", "line": line}
    if any("\0" in cell for cell in cells):
        return {"error": "A cell holds the character U+0000; remove it.", "line": line}
    return [line, cells]


def _columns(line: int, cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    names = [cell.strip() for cell in cells]
    if len(names) > MAX_COLUMNS:
        raise UnreadableError(f"The table has {len(names):,} columns; {MAX_COLUMNS:,} at most.", line)
    for number, name in enumerate(names, start=1):
        if not name:
            raise UnreadableError(f"Column {number} has no name in the header.", line)
        if name in names[: number - 1]:
            raise UnreadableError(f"Two columns are named {name[:100]!r}; each needs a name of its own.", line)
        if "\0" in name or "{{" in name or "}}" in name:
            raise UnreadableError(f"The name of column {number} holds U+0000 or double braces; rename it.", line)
    return names


# --- text -----------------------------------------------------------------------------------------------------------


def _text_rows(stream: BinaryIO, head: bytes) -> Iterator[Row]:
    csv.field_size_limit(MAX_CELL_CHARACTERS * 4)
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    delimiter = _delimiter(head.decode(encoding, "replace"))
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    reader = csv.reader(iter(lambda: text.readline(MAX_CELL_CHARACTERS * 4), ""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            if encoding != "utf-8-sig":
                raise UnreadableError("It begins like UTF-16 and is not. Save the table as 'CSV UTF-8'.") from error
            message = f"It is not UTF-8 (byte 0x{error.object[error.start]:02X}). Save the table as 'CSV UTF-8'."
            raise UnreadableError(message, _line_of_decode(stream)) from error
        except csv.Error as error:
            raise UnreadableError(f"It can't be read as CSV: {error}. Is a quotation mark missing?", line) from error
        if any(cells):
            yield line, cells


def _line_of_decode(stream: BinaryIO) -> int:
    """Text is decoded in blocks, so the reader does not know in which line the wrong byte lies."""
    stream.seek(0)
    for number, line in enumerate(stream, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return 1


def _delimiter(head: str) -> str:
    """The candidate that stands most often in the first line, outside of quotes."""
    first, quoted = [], False
    for character in head.lstrip("\r\n"):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            if character in "\r\n":
                break
            first.append(character)
    counts = {delimiter: first.count(delimiter) for delimiter in _DELIMITERS}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


# --- workbooks ------------------------------------------------------------------------------------------------------


def _workbook(stream: BinaryIO, sheet: str) -> tuple[list[str], Iterator[Row]]:
    _check_archive(stream)
    stream.seek(0)
    book = _open_book(stream)
    names = list(book.sheetnames)
    if sheet and sheet not in names:
        raise UnreadableError(f"The workbook has no sheet {sheet[:100]!r}; it has {', '.join(map(repr, names[:20]))}.")
    return names, _sheet_rows(book[sheet or names[0]])


def _check_archive(stream: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked, names = sum(entry.file_size for entry in archive.infolist()), archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableError("This is a damaged zip archive, and no .xlsx workbook.") from error
    if unpacked > _UNPACKED_BYTES:
        raise UnreadableError("The workbook unpacks to more than 1 GB.")
    if "xl/workbook.xml" not in names:
        raise UnreadableError("This is a zip archive, but no .xlsx workbook.")


def _open_book(stream: BinaryIO) -> Any:
    import openpyxl  # type: ignore[import-untyped]  # it ships no types  # noqa: PLC0415 -- only for workbooks: it takes a fifth of a second

    try:
        return openpyxl.load_workbook(stream, read_only=True, data_only=False, keep_links=False)
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableError(f"The workbook can't be read: {type(error).__name__}.") from error


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    try:
        # The size that a file states for itself may be a lie that fills the memory.
        sheet.reset_dimensions()
        for line, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            cells = [_text(value) for value in values]
            if any(cells):
                yield line, cells
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableError(f"The sheet can't be read: {type(error).__name__}.") from error


def _text(value: Any) -> str:
    """As people see it: whole numbers without '.0', dates without midnight, formulas as they are written."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


if __name__ == "__main__":
    main()
