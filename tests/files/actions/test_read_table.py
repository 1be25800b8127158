"""Tables are read as people see them; what can't be read is told with its line, and harms only the process that reads."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime

import openpyxl
import pytest

from apps.files.actions import TableUnreadableError, read_table
from tests.factories.files import make_file

pytestmark = pytest.mark.django_db


def read(
    content: bytes, filename: str = "a.csv", *, sheet: str = ""
) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[tuple[int, str]]]:
    """(columns, rows, errors by line)."""
    file = make_file(content, filename=filename, purpose="user_data")
    with read_table(file_id=file.id, sheet=sheet) as table:
        found = list(table.rows)
    return table.columns, [row.cells for row in found if not row.error], [(row.line, row.error) for row in found if row.error]


def refused(content: bytes, filename: str = "a.csv", *, sheet: str = "") -> TableUnreadableError:
    with pytest.raises(TableUnreadableError) as caught:
        read(content, filename, sheet=sheet)
    return caught.value


def workbook(*rows: tuple[object, ...], title: str = "Sheet") -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.create_sheet("Second").append(["other"])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    content = delimiter.join(["name", '"a,b;c"', "n"]) + "\n" + delimiter.join(["x", "y", "1"]) + "\n"
    assert read(content.encode()) == (("name", "a,b;c", "n"), [("x", "y", "1")], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marked_encodings_are_understood(encoding: str) -> None:
    assert read("Größe,Name\r\n5,Zoë\r\n".encode(encoding))[:2] == (("Größe", "Name"), [("5", "Zoë")])


def test_quotes_may_span_lines_and_empty_rows_are_left_out() -> None:
    content = b'text,n\n"one\ntwo ""three""",1\n\n,\nx,2\n'
    assert read(content) == (("text", "n"), [('one\ntwo "three"', "1"), ("x", "2")], [])


def test_ragged_rows_are_named_by_their_line_and_the_rest_is_read() -> None:
    columns, rows, errors = read(b'a,b\n1,2\n"x\ny",2\n3\n4,5,6\n7,8,,\n')
    assert (columns, rows) == (("a", "b"), [("1", "2"), ("x\ny", "2"), ("7", "8")])
    assert errors == [(5, "It has 1 cells; the header has 2."), (6, "It has 3 cells; the header has 2.")]


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "empty", None),
        (b"\n\n", "empty", None),
        (b"a,,c\n1,2,3\n", "Column 2 has no name", 1),
        (b"a,b,a\n1,2,3\n", "Two columns are named 'a'", 1),
        (b"a,{{b}}\n1,2\n", "double braces", 1),
        ("a,b\nx,1\nMünchen,2\n".encode("latin-1"), "not UTF-8 (byte 0xFC)", 3),
        (b'a,b\n"x,1\ny,2\n', "quotation mark", 2),
        (b",".join(b"c%d" % n for n in range(1001)), "1,001 columns", 1),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "password-protected", None),
        (b"PK\x03\x04 nothing more", "damaged zip", None),
    ],
)
def test_what_cannot_be_read_says_why_and_where(content: bytes, message: str, line: int | None) -> None:
    error = refused(content)
    assert message in error.message
    assert error.line == line


def test_a_workbook_is_read_as_people_see_it() -> None:
    content = workbook(
        ("name", "n", "share", "on", "at", "ok", "sum"),
        ("x", 3, 0.5, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4), True, "=A1+1"),  # noqa: DTZ001 -- a workbook knows no time zones; a cell
        (None, None, None, None, None, None, None),
        ("y", 4.0, None, None, None, False, "plain"),
    )
    columns, rows, errors = read(content, "a.xlsx")
    assert columns == ("name", "n", "share", "on", "at", "ok", "sum")
    assert rows == [("x", "3", "0.5", "2026-01-02", "2026-01-02 03:04", "TRUE", "=A1+1"), ("y", "4", "", "", "", "FALSE", "plain")]
    assert errors == []


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (0.125, "0.0%", "12.5%"), (1234.5, "#,##0.00", "1234.50"), (0.1 + 0.2, "General", "0.3"), (3, "0.00", "3.00"),
        (-7, "General", "-7"), (0.5, "General", "0.5"), (True, "0.00", "TRUE"),
    ],
)  # fmt: skip
def test_numbers_have_the_decimals_that_people_see(value: float, number_format: str, text: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["n", "same"])
    sheet.append([value, value])
    for cell in sheet[2]:
        cell.number_format = number_format
    made = io.BytesIO()
    book.save(made)
    assert read(made.getvalue(), "a.xlsx")[1] == [(text, text)]


def test_another_sheet_is_read_by_name() -> None:
    content = workbook(("a",), ("1",), title="First")
    assert read(content, "a.xlsx", sheet="Second")[0] == ("other",)
    assert "no sheet 'Third'; it has 'First', 'Second'" in refused(content, "a.xlsx", sheet="Third").message


def _bomb() -> bytes:
    """1 MB that unpacks to 1.1 GB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" ")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(1100):
                sheet.write(b" " * (1 << 20))
    return made.getvalue()


def _entities() -> bytes:
    """An XML that doubles itself a hundred times."""
    plain = workbook(("a",), ("1",))
    lines = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(f'<!ENTITY a{n} "&a{n - 1 if n else ""};&a{n - 1 if n else ""};">' for n in range(40))
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as source, zipfile.ZipFile(made, "w") as archive:
        for entry in source.namelist():
            content = source.read(entry)
            if entry == "xl/worksheets/sheet1.xml":
                content = (lines + ']><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
                           '<sheetData><row><c t="inlineStr"><is><t>&a39;</t></is></c></row></sheetData></worksheet>').encode()  # fmt: skip
            archive.writestr(entry, content)
    return made.getvalue()


def _not_a_workbook() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("word/document.xml", b"<w/>")
    return made.getvalue()


@pytest.mark.parametrize(
    ("make", "message"),
    [(_bomb, "more than 1 GB"), (_entities, "can't be read"), (_not_a_workbook, "no .xlsx workbook")],
)
def test_hostile_workbooks_are_refused(make: Callable[[], bytes], message: str) -> None:
    assert message in refused(make(), "a.xlsx").message


def test_reading_may_stop_early() -> None:
    file = make_file(b"a\n" + b"x\n" * 200_000, filename="a.csv")
    with read_table(file_id=file.id) as table:
        assert next(table.rows).cells == ("x",)
