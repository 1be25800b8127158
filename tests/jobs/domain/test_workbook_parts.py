"""A workbook that is made while it is sent is one that spreadsheets open."""

import io
import tracemalloc
from collections.abc import Iterator

import openpyxl

from apps.jobs.domain.workbook_parts import workbook_chunks


def test_texts_come_back_as_they_were() -> None:
    rows = [["text", "a <b>"], ["=1+1", " two\nlines & more "], ["", "Zoë \U0001f600\x0b"]]
    book = openpyxl.load_workbook(io.BytesIO(b"".join(workbook_chunks(rows))))
    read = [[cell.value for cell in row] for row in book["results"].iter_rows()]
    assert read == [["text", "a <b>"], ["=1+1", " two\nlines & more "], [None, "Zoë \U0001f600"]]
    assert book["results"]["A2"].data_type != "f"


def test_what_is_too_long_for_a_sheet_goes_on_with_the_header_on_the_next() -> None:
    rows = [["n"], *([str(n)] for n in range(5))]
    book = openpyxl.load_workbook(io.BytesIO(b"".join(workbook_chunks(rows, sheet_rows=3))))
    assert [[row[0].value for row in sheet.iter_rows()] for sheet in book.worksheets] == [["n", "0", "1"], ["n", "2", "3"], ["n", "4"]]


def test_no_rows_are_an_empty_sheet() -> None:
    assert openpyxl.load_workbook(io.BytesIO(b"".join(workbook_chunks([])))).sheetnames == ["results"]


def test_it_comes_in_pieces_and_is_never_whole_in_memory() -> None:
    def rows() -> Iterator[list[str]]:
        for n in range(100_000):
            yield [str(n * 7919 % 100_003), f"{n}" * 20]

    tracemalloc.start()
    try:
        sizes = [len(chunk) for chunk in workbook_chunks(rows())]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(sizes) > 3
    assert peak < sum(sizes)
