"""Correct the answer for a document: what the model said stays, the newest correction counts."""

from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from apps.jobs.actions.record_change import record_change
from apps.jobs.domain.recipe import Step, load_plan
from apps.jobs.models import Correction, Job, JobDocument
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.providers.domain.contract import ContractBrokenError, read_contract
from apps.providers.domain.said import Said

MOST_CHARACTERS = 200_000
_CHAT = "/v1/chat/completions"


@transaction.atomic
def correct_answer(*, job: Job, position: int, answer: str, note: str = "", created_by_id: UUID | None = None) -> Correction:
    """Of all documents together where the recipe answers once for the job.

    ApiError 404 when the job has no such document, 409 when that has no answer, 400 when the correction doesn't fit the recipe's schema.
    """
    document = JobDocument.objects.filter(job=job, position=position).first()
    if document is None or job.recipe is None:
        raise ApiError(404, "not_found", f"The job has no document number {position}.")
    if document.answer_item_id is None or document.state != "answered":
        raise ApiError(409, "not_answered", f"{document.name} has no answer to correct.", headers=GIVE_UP)
    _check(answer, load_plan(job.recipe.plan).result_step)
    correction = Correction.objects.create(
        job=job, item_id=document.answer_item_id, answer=answer, note=note.strip(), created_by_id=created_by_id
    )
    record_change(job, "corrected", after={"document": document.name, "position": position}, reason=note.strip())
    return correction


def write_answer(value: Any) -> str:
    """The text of an answer: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _check(answer: str, step: Step) -> None:
    if not answer.strip() or len(answer) > MOST_CHARACTERS or "\0" in answer:
        message = f"answer must be a text of at most {MOST_CHARACTERS:,} characters, without NUL."
        raise ApiError(400, "invalid_value", message, param="answer")
    if step.output_schema is None:
        return
    shape = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(step.output_schema)}}}
    try:
        read_contract(shape, endpoint=_CHAT).check(Said(texts=(answer,)))
    except ContractBrokenError as broken:
        raise ApiError(400, "invalid_value", f"The correction doesn't fit the recipe's schema: {broken}.", param="answer") from broken
