"""Read a stored table through a process of its own: whatever the file holds, only that process suffers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import IO, Any
from uuid import UUID

import orjson
from django.conf import settings

from apps.files.queries import open_file

_CHUNK_BYTES = 1 << 20
_WHOLE_SECONDS = 900
# A page waits no longer than this, whatever the file does to the program that reads it.
_LOOK_SECONDS = 15


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row by its line in the file (the header is line 1); `error` says why it can't be used."""

    line: int
    cells: tuple[str, ...] = ()
    error: str = ""


@dataclass(slots=True)
class Table:
    """Column names, the workbook's sheets (none for a text), and the rows as they are read.

    `share_read` is 1 unless reading stopped because its time was over: then it says how much of the file the rows were.
    """

    columns: tuple[str, ...]
    sheets: tuple[str, ...]
    rows: Iterator[TableRow]
    share_read: float = 1.0


class TableUnreadableError(Exception):
    """The table can't be read (any further); `line` is where, None when it is the file itself."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


@contextmanager
def read_table(*, file_id: UUID, sheet: str = "", stop_after_seconds: float = 0) -> Iterator[Table]:
    """The table, for as long as the block lasts; FileGoneError, or TableUnreadableError (also from `rows`).

    With `stop_after_seconds` it is a quick look: rows come for that long, and the whole may not take longer than a page can wait.
    """
    limit = _LOOK_SECONDS if stop_after_seconds else _WHOLE_SECONDS
    with ExitStack() as stack:
        reader = _start(stack.enter_context(_seekable(file_id)), sheet, limit, stop_after_seconds)
        stack.callback(_stop, reader)
        if stop_after_seconds:
            # Processor time bounds the program, this the page that waits for it.
            overdue = Timer(limit, reader.kill)
            stack.callback(overdue.cancel)
            overdue.start()
        assert reader.stdout is not None  # noqa: S101 -- for mypy: it is a pipe
        entries = _entries(reader, reader.stdout)
        head = next(entries)
        table = Table(columns=tuple(head["columns"]), sheets=tuple(head["sheets"]), rows=iter(()))
        table.rows = _rows(entries, table)
        yield table


def _start(source: IO[bytes], sheet: str, limit: int, stop_after_seconds: float) -> "subprocess.Popen[bytes]":
    """Without our environment: the secrets in it are none of that program's business."""
    return subprocess.Popen(  # noqa: S603 -- our own program, without a shell
        [sys.executable, "-m", "apps.files.extraction.tables", sheet, str(limit), str(stop_after_seconds)],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=settings.BASE_DIR,
        env={"PYTHONUTF8": "1"},
    )


def _stop(reader: "subprocess.Popen[bytes]") -> None:
    reader.kill()
    if reader.stdout is not None:
        reader.stdout.close()
    reader.wait()


@contextmanager
def _seekable(file_id: UUID) -> Iterator[IO[bytes]]:
    """A file with a descriptor of its own; storages that have none are copied first."""
    with open_file(file_id) as stream, tempfile.TemporaryFile() as copy:
        try:
            stream.fileno()
        except (OSError, AttributeError):
            while chunk := stream.read(_CHUNK_BYTES):
                copy.write(chunk)
            copy.seek(0)
            yield copy
        else:
            yield stream


def _entries(reader: "subprocess.Popen[bytes]", output: IO[bytes]) -> Iterator[Any]:
    for line in output:
        if not line.endswith(b"\n"):
            break  # it was ended in the middle of a row
        entry = orjson.loads(line)
        if isinstance(entry, dict) and "fatal" in entry:
            raise TableUnreadableError(entry["fatal"], entry["line"])
        yield entry
    if reader.wait() != 0:
        raise TableUnreadableError("The table can't be read within the memory and time that are allowed for one.", None)


def _rows(entries: Iterator[Any], table: Table) -> Iterator[TableRow]:
    for entry in entries:
        if isinstance(entry, list):
            yield TableRow(line=entry[0], cells=tuple(entry[1]))
        elif "read" in entry:
            table.share_read = entry["read"]
        else:
            yield TableRow(line=entry["line"], error=entry["error"])
