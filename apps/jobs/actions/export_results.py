"""Export a job's results for people: JSONL, or a table with the answers beside what was uploaded; in constant memory."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from django.utils.text import get_valid_filename

from apps.files.actions import read_table
from apps.files.queries import FileGoneError
from apps.jobs.actions.export_documents import document_lines, document_rows
from apps.jobs.domain.export_table import answer_cells, answer_columns, plain_cell, workbook_cell
from apps.jobs.domain.table_prompt import TablePrompt
from apps.jobs.domain.workbook_parts import workbook_chunks
from apps.jobs.models import Job
from apps.jobs.queries import list_result_rows, result_chunks

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Export:
    """A download: its name, its type, and its bytes as they are made."""

    filename: str
    content_type: str
    chunks: Iterator[bytes]


def export_results(*, job: Job, form: str) -> Export:
    """`form` is jsonl, csv or xlsx (KeyError otherwise). When the uploaded table is gone the rows carry their custom ids instead."""
    content_type, write = _FORMS[form]
    name = job.table_file.filename.rsplit(".", 1)[0] if job.table_file else str(job.recipe or job.public_id)
    return Export(filename=f"{get_valid_filename(name)}-results.{form}", content_type=content_type, chunks=write(job))


def _jsonl(job: Job) -> Iterator[bytes]:
    return document_lines(job) if job.recipe else result_chunks(job.id)


def _csv(job: Job) -> Iterator[bytes]:
    """With a byte order mark: without it spreadsheets take UTF-8 for something else."""
    text = io.StringIO()
    writer = csv.writer(text)
    text.write("\ufeff")
    for row in _rows(job):
        writer.writerow([plain_cell(cell) for cell in row])
        if text.tell() >= _CHUNK_BYTES:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _xlsx(job: Job) -> Iterator[bytes]:
    return workbook_chunks([workbook_cell(cell) for cell in row] for row in _rows(job))


def _rows(job: Job) -> Iterator[list[str]]:
    if job.recipe:
        return document_rows(job)
    return _table_rows(job, job.table_file_id, TablePrompt(**job.table)) if job.table_file_id and job.table else _line_rows(job)


def _line_rows(job: Job) -> Iterator[list[str]]:
    """Of a batch file: its custom ids instead of columns."""
    yield ["custom_id", *answer_columns(["custom_id"])]
    for row in list_result_rows(job.id):
        yield [row["custom_id"], *answer_cells(row)]


def _table_rows(job: Job, file_id: UUID, prompt: TablePrompt) -> Iterator[list[str]]:
    with ExitStack() as stack:
        try:
            table = stack.enter_context(read_table(file_id=file_id, sheet=prompt.sheet))
        except FileGoneError:
            yield from _line_rows(job)
            return
        results = list_result_rows(job.id)
        upcoming = next(results, None)
        number = 0
        yield [*table.columns, *answer_columns(table.columns)]
        for entry in table.rows:
            if entry.error:
                continue
            number += 1
            row = upcoming if upcoming is not None and upcoming["position"] == number else None
            yield [*entry.cells, *answer_cells(row)]
            if row is not None:
                upcoming = next(results, None)


_FORMS: dict[str, tuple[str, Callable[[Job], Iterator[bytes]]]] = {
    "jsonl": ("application/jsonl", _jsonl),
    "csv": ("text/csv; charset=utf-8", _csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
}
EXPORT_FORMS = tuple(_FORMS)
