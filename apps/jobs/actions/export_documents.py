"""What a job of documents came to, as it stands now: a row or line for each document, or one where one answer is to all of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from apps.jobs.domain.document_answer import as_line, cells, fields_of, header
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.models import Job
from apps.jobs.queries.document_answers import list_answers, read_job_answer
from apps.jobs.queries.document_progress import count_documents

_CHUNK_BYTES = 1 << 18


def document_lines(job: Job) -> Iterator[bytes]:
    """Lines of JSON, some at a time."""
    lines: list[bytes] = []
    size = 0
    for line in _lines(job, _plan(job)):
        lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        size += len(lines[-1])
        if size >= _CHUNK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def document_rows(job: Job) -> Iterator[list[str]]:
    """Rows of a table, its header first; the fields of answers have columns of their own."""
    plan = _plan(job)
    fields = fields_of(plan.result_step)
    yield header(fields, answers_once=plan.answers_once)
    if not plan.answers_once:
        for row in list_answers(job, steps=[step.name for step in plan.steps]):
            yield cells(row, fields)
    elif (answer := read_job_answer(job, plan)) is not None:
        yield cells(answer, fields, states=count_documents(job.id))


def _lines(job: Job, plan: Plan) -> Iterator[Mapping[str, Any]]:
    if not plan.answers_once:
        yield from map(as_line, list_answers(job, steps=[step.name for step in plan.steps]))
    elif (answer := read_job_answer(job, plan)) is not None:
        yield as_line(answer, states=count_documents(job.id))


def _plan(job: Job) -> Plan:
    if job.recipe is None:
        raise ValueError("Only jobs of a recipe have answers by document.")
    return load_plan(job.recipe.plan)
