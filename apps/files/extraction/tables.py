"""Read a CSV, TSV or XLSX from standard input and print it as JSON lines.

The first line is `{"columns": [...], "sheets": [...]}`, then one `[line, [cells]]` for each row that is not empty, or
`{"error": "...", "line": n}` for one that is wrong. `{"fatal": "...", "line": n}` ends the output: nothing more can be read.
`{"read": share}` ends it when the seconds that were granted are over, with how much of the file has been seen.
Started by `read_table` with limits of memory and processor time; it sees no settings, no database and no secrets, and shuts itself in.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from apps.files.extraction.delimited import MAX_CELL_CHARACTERS, DelimitedTable
from apps.files.extraction.kinds import HEAD_BYTES, is_workbook
from apps.files.extraction.refusal import UnreadableError
from apps.files.extraction.workbook import Workbook
from apps.lib.confine import bound, shut_in

MEMORY_BYTES = 1 << 30
MAX_COLUMNS = 1000
MAX_NAME_CHARACTERS = 200
# Who reads us holds one row in memory; a request may not be longer, either.
MAX_ROW_CHARACTERS = 4_000_000
_LOOK_AT_CLOCK = 64


def main() -> None:
    """Arguments: the sheet (empty: the first), the seconds of processor time, and the seconds after which to stop (0: never)."""
    sheet, cpu_seconds, stop_after_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    bound(memory_bytes=MEMORY_BYTES, cpu_seconds=cpu_seconds)
    shut_in("A reader of tables")
    out = sys.stdout
    try:
        for entry in _entries(sys.stdin.buffer, sheet, stop_after_seconds):
            out.write(json.dumps(entry, ensure_ascii=False))
            out.write("\n")
    except UnreadableError as error:
        out.write(json.dumps({"fatal": error.message, "line": error.line}) + "\n")
    except MemoryError:
        out.write(json.dumps({"fatal": "The table needs more memory than is allowed for reading one.", "line": None}) + "\n")
    out.flush()


def _entries(stream: BinaryIO, sheet: str, stop_after_seconds: float) -> Iterator[Any]:
    until = time.monotonic() + stop_after_seconds if stop_after_seconds else None
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    table = Workbook(stream, sheet) if is_workbook(head) else DelimitedTable(stream, head)
    rows = table.rows()
    header = next(rows, None)
    if header is None:
        raise UnreadableError("The table is empty: its first row must name the columns.")
    columns = _columns(*header)
    yield {"columns": columns, "sheets": table.sheets}
    for number, (line, cells) in enumerate(rows, start=1):
        yield _judged(line, cells, columns)
        if until is not None and number % _LOOK_AT_CLOCK == 0 and time.monotonic() > until:
            yield {"read": table.share_read()}
            return


def _judged(line: int, cells: list[str], columns: Sequence[str]) -> Any:
    width = len(columns)
    while len(cells) > width and not cells[-1]:
        cells.pop()
    if len(cells) != width:
        return {"error": f"It has {len(cells)} cells; the header has {width}.", "line": line}
    if sum(map(len, cells)) > MAX_ROW_CHARACTERS:
        return {"error": f"Its cells have more than {MAX_ROW_CHARACTERS:,} characters together.", "line": line}
    for name, cell in zip(columns, cells, strict=True):
        if len(cell) > MAX_CELL_CHARACTERS:
            return {"error": f"The cell of {name!r} has more than {MAX_CELL_CHARACTERS:,} characters.", "line": line}
        if "\0" in cell:
            return {"error": f"The cell of {name!r} holds the character U+0000; remove it.", "line": line}
    return [line, cells]


def _columns(line: int, cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    names = [" ".join(cell.split()) for cell in cells]
    if len(names) > MAX_COLUMNS:
        raise UnreadableError(f"The table has {len(names):,} columns; {MAX_COLUMNS:,} at most.", line)
    for number, name in enumerate(names, start=1):
        if not name:
            raise UnreadableError(f"Column {number} has no name in the header.", line)
        if len(name) > MAX_NAME_CHARACTERS:
            raise UnreadableError(f"The name of column {number} has {len(name):,} characters; {MAX_NAME_CHARACTERS} at most.", line)
        if name in names[: number - 1]:
            raise UnreadableError(f"Two columns are named {name!r}; each needs a name of its own.", line)
        if "\0" in name or "{{" in name or "}}" in name:
            raise UnreadableError(f"The name of column {number} holds U+0000 or double braces; rename it.", line)
    return names


if __name__ == "__main__":
    main()
