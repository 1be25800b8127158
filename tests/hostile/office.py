"""Uploads and forms that nobody should send to the back office's page for a new job: every table, every batch file, and odd fields."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from html import escape

from tests.hostile.cases import FORM_TYPE, FileCase, Pieces, RequestCase, form, part, request
from tests.hostile.files import FILES, line
from tests.hostile.tables import TABLES, Hostile, workbook

NEW_JOB = "POST /admin/jobs/job/new/"
_COOKIE = "Cookie: sessionid=<session>; csrftoken=<csrf>"
TABLE = b"text,n\nhello,1\n"


def new_job(
    what: str, told: str, *, content: Pieces, filename: str, status: int = 200, step: str = "preview", **fields: bytes
) -> RequestCase:
    """The page's form with a file in it, streamed."""
    usual = {"csrfmiddlewaretoken": b"<csrf>", "workspace": b"<workspace>", "model": b"small", "user": b"Say {{text}}", "lane": b"bulk"}
    usual |= {"step": step.encode()} | fields

    def body() -> Iterator[bytes]:
        yield b"".join(part(name.encode(), value) for name, value in usual.items())
        # As a browser writes a quotation mark in a name.
        yield part(b"upload", b"", filename=filename.replace('"', "%22").encode())[: -len(b"\r\n")]
        yield from content()
        yield b"\r\n" + form()

    return request(NEW_JOB, what, told, status=status, headers=[_COOKIE], body=body, content_type=FORM_TYPE)


def _table(table: Hostile) -> RequestCase:
    @cache
    def content() -> Iterable[bytes]:
        """Made once: a workbook holds the second of its making, and another second may be packed to another length."""
        return (table.make(),)

    told = "" if table.message is None else escape(table.message, quote=True)
    status = 302 if table.message is None else 200
    case = new_job(table.name, told, content=content, filename=table.filename, status=status, step="submit")
    return replace(case, place=f"Line {table.line:,}:") if table.line else case


def _preview(file: FileCase) -> RequestCase:
    told = "" if file.told is None else escape(file.told, quote=True)
    case = new_job(f"{file.name}, looked at", told, content=file.make, filename="a.jsonl")
    return replace(case, place=f"Line {file.line:,}:") if file.line else case


def _fields() -> Iterator[RequestCase]:
    def odd(what: str, told: str, *, status: int = 200, content: bytes = TABLE, filename: str = "a.csv", **fields: bytes) -> RequestCase:
        return new_job(what, told, content=lambda: (content,), filename=filename, status=status, step="submit", **fields)

    yield odd("a column that is not there", escape("no column 'nope'"), user=b"Say {{nope}}")
    yield odd("no prompt", "Say what is to be asked", user=b"")
    yield odd("a NUL in the prompt", "Null characters are not allowed", user=b"a\0{{text}}")
    yield odd("a prompt of 5 MB", "too large", status=413, user=b"x" * (5 << 20))
    yield odd("a workspace of somebody else's making", "is not a valid UUID", workspace=b"1")
    yield odd("another lane", "Select a valid choice", lane=b"now")
    yield odd("<script> for a model", "&lt;script&gt;alert(1)&lt;/script&gt; is not one of", model=b"<script>alert(1)</script>")
    yield odd("a temperature that is none", "Enter a number", temperature=b"NaN")
    rows = workbook(("text",), ("a",))
    yield odd("a sheet that is not there", "no sheet", content=rows, filename="a.xlsx", sheet=b"<script>alert(1)</script>")
    yield odd("a file id that is none", "Enter a valid UUID", file_id=b"../../etc/passwd")
    yield odd("an empty file", "is empty", content=b"")
    yield odd("no token", "CSRF", status=403, csrfmiddlewaretoken=b"x" * 32)
    yield odd("a batch file by a table's name", "", content=line())


OFFICE = [*map(_table, TABLES), *map(_preview, FILES), *_fields()]
