"""The request that a step of a recipe makes: its texts filled with what the document says and what was answered before."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from apps.jobs.domain.recipe import Each, Step
from apps.knowledge.domain.cited import CitedPassage
from apps.prompts.domain.assembly import PASSAGE, passage_attributes
from apps.prompts.domain.markup import Tagged
from apps.prompts.domain.template import fill_together, read_template
from apps.prompts.domain.variables import VariableRefusedError
from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import AnswerPolicy, check_request

ENDPOINT = "/v1/chat/completions"
_LONGEST_NAME = 30
_NOT_IN_A_SCHEMA_NAME = re.compile(r"[^A-Za-z0-9_-]")
_BETWEEN = "\n\n"
_ANSWER = "answer"


class StepRefusedError(Exception):
    """A step can't be asked of a document; `code` and `message` say why, and stand with the document."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Told:
    """What a step's texts may use, beside its own values. `answers`: by step, what it answered."""

    document: str = ""
    text: str = ""
    anchor: str = ""
    part: int = 1
    parts: int = 1
    passages: str | Tagged = ""
    answers: Mapping[str, str | Tagged] | None = None

    def with_passages(self, passages: str | Tagged) -> "Told":
        return replace(self, passages=passages)

    def as_variables(self, step: Step) -> dict[str, str | Tagged]:
        told: dict[str, str | Tagged] = {
            "document": self.document,
            "text": self.text,
            "anchor": self.anchor,
            "part": str(self.part),
            "parts": str(self.parts),
            "passages": self.passages,
        }
        return told | dict(self.answers or {}) | dict(step.values)


def names_used(step: Step) -> frozenset[str]:
    """The variables of all of its texts."""
    return frozenset(name for text in (step.system, step.user, step.query) for name in read_template(text).names)


def reads_text(step: Step) -> bool:
    """Whether the document's text is needed."""
    return step.each is Each.PART or bool(names_used(step) & {"text", "anchor"})


def fill_query(step: Step, told: Told) -> str:
    """What is searched for; StepRefusedError when it can't be filled."""
    texts = {name: value.text if isinstance(value, Tagged) else value for name, value in told.as_variables(step).items()}
    return _fill([step.query], texts)[0].strip()


def fill_texts(step: Step, told: Told) -> tuple[str, str]:
    """What it says as system and as user; StepRefusedError when that can't be filled."""
    system, user = _fill([step.system, step.user], told.as_variables(step))
    return system, user


def tag_passages(passages: Sequence[CitedPassage]) -> Tagged:
    """As they stand in a request, and in a conversation's: an answer cites them by their numbers."""
    return Tagged(PASSAGE, [(passage_attributes(passage.number, passage.place), passage.text) for passage in passages])


def join_answers(answers: Sequence[str]) -> str:
    """Several answers of one document in one text."""
    return _BETWEEN.join(answers)


def tag_answers(answers: Sequence[tuple[str, str]]) -> Tagged:
    """(document's name, answer) of several documents."""
    return Tagged(_ANSWER, [({"document": name}, answer) for name, answer in answers])


def compose_request(step: Step, told: Told, *, policy: AnswerPolicy, most_bytes: int) -> bytes:
    """The body of a chat completion; StepRefusedError when it gets too long, or its texts can't be filled."""
    texts = zip(("system", "user"), fill_texts(step, told), strict=True)
    body: dict[str, Any] = {"model": step.model} | dict(step.parameters)
    if step.output_schema is not None:
        name = _NOT_IN_A_SCHEMA_NAME.sub("_", step.name)
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": dict(step.output_schema)}}
    body["messages"] = [{"role": role, "content": text} for role, text in texts if text.strip()]
    try:
        check_request(policy, body, endpoint=ENDPOINT)
        content = orjson.dumps(body)
    except ContractRefusedError as refused:
        raise StepRefusedError("invalid_recipe", refused.message) from refused
    except orjson.JSONEncodeError as error:
        raise StepRefusedError("invalid_text", f"The request can't be written as JSON: {error}.") from error
    if len(content) > most_bytes:
        message = f"The request has {len(content):,} bytes; {most_bytes:,} at most. Ask for parts of the document instead."
        raise StepRefusedError("request_too_large", message)
    return content


def hash_input(body: bytes, policy: AnswerPolicy) -> bytes:
    """The same for the very same request that is answered in the same way: SHA-256."""
    way = orjson.dumps([ENDPOINT, policy.as_json()], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(way + b"\0" + body).digest()


def name_item(step: Step, index: int, *, position: int | None, round_: int, part: int) -> str:
    """`doc-12/map/3`: what files call an item by, at most 64 characters. `index` is the step's place in its plan."""
    name = step.name if len(step.name) <= _LONGEST_NAME else f"{step.name[:_LONGEST_NAME]}~{index}"
    place = "job" if position is None else f"doc-{position}"
    if round_:
        return f"{place}/{name}/{round_}.{part + 1}"
    return f"{place}/{name}/{part + 1}" if step.each is Each.PART or part else f"{place}/{name}"


def _fill(texts: Sequence[str], variables: Mapping[str, str | Tagged]) -> list[str]:
    templates = [read_template(text) for text in texts]
    if unknown := next((name for template in templates for name in template.names if name not in variables), None):
        raise StepRefusedError("invalid_recipe", f"The recipe uses {{{{ {unknown} }}}}, which nothing gives a value.")
    try:
        return fill_together(templates, variables)
    except VariableRefusedError as refused:
        raise StepRefusedError("request_too_large", refused.message) from refused
