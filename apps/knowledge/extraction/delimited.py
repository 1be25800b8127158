"""Tables in text (CSV, TSV): the delimiter is found out, the first row is the header."""

import csv
import io
from collections.abc import Iterator

from apps.knowledge.domain.anchors import numbered
from apps.knowledge.domain.formats import CSV
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.decoding import decode
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import row_text, with_line_ends

_DELIMITERS = ",;\t|"
_MOST_CELL_CHARACTERS = 1_000_000
_LINES_LOOKED_AT = 20


def read_delimited(source: Source) -> Extracted:
    text = with_line_ends(decode(source.content)).strip("\n")
    sections = source.collect(_blocks(text))
    return Extracted(media_type=CSV, title=source.title(), pages=1, sections=sections)


def _blocks(text: str) -> Iterator[Section]:
    rows: list[str] = []
    number = 0
    for number, cells in enumerate(_rows(text), start=1):
        if row := row_text(cells):
            rows.append(row)
        elif rows:
            yield _block(rows, number - 1)
            rows = []
    if rows:
        yield _block(rows, number)


def _block(rows: list[str], last: int) -> Section:
    return Section(text="\n".join(rows), kind="table", anchor=numbered("row", last - len(rows) + 1, last))


def _rows(text: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        message = f"It can't be read as CSV: {error} (line {reader.line_num:,}). Is a quotation mark missing?"
        raise Refused("damaged", message) from error


def _delimiter(text: str) -> str:
    """The candidate that parts the first rows into the most cells of the same number."""

    def even(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines]
        return (min(counts), max(counts)) if counts else (0, 0)

    lines = [line for line in text[:100_000].split("\n") if line.strip()][:_LINES_LOOKED_AT]
    first = {delimiter: _outside_quotes(text, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: (bool(first[delimiter]), even(delimiter), first[delimiter]))
    return best if first[best] else ","


def _outside_quotes(text: str, delimiter: str) -> int:
    """How often it stands in the first line, outside of quotes."""
    found, quoted = 0, False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted:
            if character == "\n":
                break
            found += character == delimiter
    return found
