"""Read a stored table through a process of its own: whatever the file holds, only that process suffers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

import orjson

from apps.files.extraction import tables
from apps.files.queries import open_file

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row by its line in the file (the header is line 1); `error` says why it can't be used."""

    line: int
    cells: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Column names, the workbook's sheets (none for a text), and the rows as they are read."""

    columns: tuple[str, ...]
    sheets: tuple[str, ...]
    rows: Iterator[TableRow]


class TableUnreadableError(Exception):
    """The table can't be read (any further); `line` is where, None when it is the file itself."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


@contextmanager
def read_table(*, file_id: UUID, sheet: str = "") -> Iterator[Table]:
    """The table, for as long as the block lasts; FileGoneError, or TableUnreadableError (also from `rows`)."""
    with _seekable(file_id) as source:
        command = [sys.executable, tables.__file__, sheet]
        # Without our environment: the secrets in it are none of that program's business.
        with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"PYTHONUTF8": "1"}) as reader:  # noqa: S603 -- our own program
            assert reader.stdout is not None  # noqa: S101 -- for mypy: it is a pipe
            try:
                entries = _entries(reader, reader.stdout)
                head = next(entries)
                yield Table(columns=tuple(head["columns"]), sheets=tuple(head["sheets"]), rows=map(_row, entries))
            finally:
                reader.kill()


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
        entry = orjson.loads(line)
        if isinstance(entry, dict) and "fatal" in entry:
            raise TableUnreadableError(entry["fatal"], entry["line"])
        yield entry
    if reader.wait() != 0:
        raise TableUnreadableError("The table can't be read within the memory and time that are allowed for one.", None)


def _row(entry: Any) -> TableRow:
    if isinstance(entry, dict):
        return TableRow(line=entry["line"], error=entry["error"])
    return TableRow(line=entry[0], cells=tuple(entry[1]))
