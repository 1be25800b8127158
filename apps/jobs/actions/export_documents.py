"""What a job of documents came to, as rows or lines for each document, as it stands now; in constant memory."""

from collections.abc import Iterator

import orjson

from apps.jobs.domain.document_answer import as_line, cells, fields_of, header
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.models import Job
from apps.jobs.queries.document_answers import list_answers

_CHUNK_BYTES = 1 << 18


def document_lines(job: Job) -> Iterator[bytes]:
    """Lines of JSON, some at a time."""
    lines: list[bytes] = []
    size = 0
    for row in list_answers(job, steps=[step.name for step in _plan(job).steps]):
        lines.append(orjson.dumps(as_line(row), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        size += len(lines[-1])
        if size >= _CHUNK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def document_rows(job: Job) -> Iterator[list[str]]:
    """Rows of a table, its header first; the fields of answers have columns of their own."""
    plan = _plan(job)
    fields = fields_of(plan.result_step)
    yield header(fields)
    for row in list_answers(job, steps=[step.name for step in plan.steps]):
        yield cells(row, fields)


def _plan(job: Job) -> Plan:
    if job.recipe is None:
        raise ValueError("Only jobs of a recipe have answers by document.")
    return load_plan(job.recipe.plan)
