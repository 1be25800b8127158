"""What a job of documents came to for one document, or for all together, and how that is told in tables and lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from apps.jobs.domain.citations import cited_of
from apps.jobs.domain.recipe import Step
from apps.knowledge.domain.cited import CitedPassage
from apps.lib.ids import public_id

_DOCUMENT, _ITEM, _CHUNK, _SNAPSHOT = "doc_", "item_", "chunk_", "snap_"
_BEFORE = ("document", "version", "state")
_AFTER = ("citations", "given", "cost_usd", "error", "corrected_by", "item")
# Of one answer to all documents together.
_BEFORE_ALL = ("documents", "failed_documents", "state")


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a person says the answer should have been. `by` is empty for a program."""

    answer: str
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """`original` is what the model said; None without an answer, or when it is not kept any more. `passages`: what it was given."""

    position: int
    document_id: UUID
    version_id: UUID
    version: int
    name: str
    state: str
    step: str
    error_code: str
    error_message: str
    item_id: UUID | None
    original: str | None
    corrected: Corrected | None
    cost_usd: Decimal
    snapshot_id: str
    passages: Sequence[CitedPassage]

    @property
    def answer(self) -> str | None:
        """The one that counts."""
        return self.corrected.answer if self.corrected else self.original

    @property
    def cited(self) -> list[CitedPassage]:
        """The passages that the answer cites, in its order."""
        return cited_of(self.answer or "", self.passages)

    @property
    def error(self) -> str:
        return ": ".join(filter(None, (self.error_code, self.error_message)))


def fields_of(step: Step) -> tuple[str, ...]:
    """The columns of the answers: the fields of the schema, or one for the text."""
    properties = (step.output_schema or {}).get("properties")
    return tuple(properties) if isinstance(properties, dict) and properties else ("answer",)


def header(fields: Sequence[str], *, answers_once: bool = False) -> list[str]:
    """A field that is called as another column gets `answer.` before its name."""
    before = _BEFORE_ALL if answers_once else _BEFORE
    return [*before, *(f"answer.{name}" if name in (*before, *_AFTER) else name for name in fields), *_AFTER]


def cells(row: DocumentAnswer, fields: Sequence[str], *, states: Mapping[str, int] | None = None) -> list[str]:
    """One row of the table, in the order of the header. `states`: how many documents are in each, where there is one answer to all."""
    before = [row.name, str(row.version)] if states is None else [str(sum(states.values())), str(states.get("failed", 0))]
    return [
        *before,
        row.state,
        *_answer_cells(row.answer, fields),
        "; ".join(map(_place, row.cited)),
        "; ".join(map(_place, row.passages)),
        f"{row.cost_usd.normalize():f}",
        row.error,
        (row.corrected.by or "a program") if row.corrected else "",
        public_id(_ITEM, row.item_id) if row.item_id else "",
    ]


def _place(passage: CitedPassage) -> str:
    return f"[{passage.number}] {passage.place}"


def _answer_cells(answer: str | None, fields: Sequence[str]) -> list[str]:
    value = answer_value(answer)
    if isinstance(value, dict):
        return [_cell(value.get(name)) for name in fields]
    return [answer or "", *[""] * (len(fields) - 1)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def answer_value(answer: str | None) -> Any:
    """The JSON object or list that an answer is, else its text."""
    if answer is None or not answer.lstrip().startswith(("{", "[")):
        return answer
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer


def as_line(row: DocumentAnswer, *, states: Mapping[str, int] | None = None) -> Mapping[str, Any]:
    """One line of JSON. `states`: how many documents are in each, where there is one answer to all.

    `given` are the passages that the model was given, `citations` those of them that its answer cites.
    """
    of = {"id": public_id(_DOCUMENT, row.document_id), "name": row.name, "version": row.version}
    return {
        **({"position": row.position, "document": of} if states is None else {"documents": states}),
        "state": row.state,
        "answer": answer_value(row.answer),
        "original_answer": answer_value(row.original) if row.corrected else None,
        "corrected": {"by": row.corrected.by, "at": row.corrected.at, "note": row.corrected.note} if row.corrected else None,
        "citations": [_passage(passage) for passage in row.cited],
        "given": [_passage(passage) for passage in row.passages],
        "snapshot": f"{_SNAPSHOT}{row.snapshot_id}" if row.snapshot_id else None,
        "cost_usd": f"{row.cost_usd.normalize():f}",
        "error": {"step": row.step, "code": row.error_code, "message": row.error_message} if row.error_code else None,
        "item": public_id(_ITEM, row.item_id) if row.item_id else None,
    }


def _passage(passage: CitedPassage) -> dict[str, Any]:
    return {
        "number": passage.number,
        "document": {"id": public_id(_DOCUMENT, passage.document_id), "name": passage.document, "version": passage.version},
        "anchor": passage.anchor,
        "chunk": public_id(_CHUNK, passage.chunk_id),
        "start": passage.start,
        "end": passage.end,
    }
