"""CSV and TSV: the encoding and the delimiter are found out, rows come one at a time."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from apps.files.extraction.kinds import encoding_of
from apps.files.extraction.refusal import UnreadableError

MAX_CELL_CHARACTERS = 1_000_000
_MAX_LINE_CHARACTERS = 8_000_000
_DELIMITERS = ",;\t|"


class DelimitedTable:
    """A table in text; `sheets` is what only workbooks have."""

    sheets: tuple[str, ...] = ()

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        self._stream = stream
        self._encoding = encoding_of(head)
        self._delimiter = _delimiter(head.decode(self._encoding, "replace"))
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    def share_read(self) -> float:
        """How much has been read, from 0 to 1."""
        return self._stream.tell() / self._size if self._size else 1.0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not empty; a quoted cell may reach over several lines."""
        # Longer cells are told by their row; this bounds what a quote that is never closed can swallow.
        csv.field_size_limit(MAX_CELL_CHARACTERS * 2)
        text = io.TextIOWrapper(self._stream, encoding=self._encoding, newline="")
        reader = csv.reader(_lines(text), delimiter=self._delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError as error:
                raise self._wrong_encoding(error) from error
            except csv.Error as error:
                raise UnreadableError(f"It can't be read as CSV: {error}. Is a quotation mark missing?", line) from error
            if any(cells):
                yield line, cells

    def _wrong_encoding(self, error: UnicodeDecodeError) -> UnreadableError:
        """Text is decoded in blocks, so the reader does not know in which line the wrong byte lies."""
        if self._encoding != "utf-8-sig":
            return UnreadableError("It begins like UTF-16 and is not. Save the table as 'CSV UTF-8'.")
        message = f"It is not UTF-8 (byte 0x{error.object[error.start]:02X}). Save the table as 'CSV UTF-8'."
        self._stream.seek(0)
        number = 0
        while raw := self._stream.readline(_MAX_LINE_CHARACTERS * 4):
            number += 1
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                break
        return UnreadableError(message, number)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Whole lines; one that is too long must not come in two halves, as two rows."""
    number = 0
    while line := text.readline(_MAX_LINE_CHARACTERS):
        number += 1
        if len(line) >= _MAX_LINE_CHARACTERS:
            message = f"It has more than {_MAX_LINE_CHARACTERS:,} characters. Is this a table, with a line for each row?"
            raise UnreadableError(message, number)
        yield line


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
