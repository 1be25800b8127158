"""What the sample batch and the sample documents came to, for showing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """One prompt and what the model said."""

    name: str
    prompt: str
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True)
class SampleResult:
    """The whole batch; seconds from its creation to its last answer."""

    batch_id: str
    answers: tuple[SampleAnswer, ...]
    failed: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_usd: str


def read_prompts(lines: Iterable[str]) -> dict[str, str]:
    """The last user message of each request line, by its custom_id."""
    requests = [json.loads(line) for line in lines if line.strip()]
    return {request["custom_id"]: request["body"]["messages"][-1]["content"] for request in requests}


def read_answers(lines: Iterable[str], prompts: Mapping[str, str]) -> tuple[SampleAnswer, ...]:
    """The answered lines of an output file, in the order of the prompts."""
    found = {}
    for line in lines:
        result = json.loads(line)
        body = result["response"]["body"]
        found[result["custom_id"]] = (body["choices"][0]["message"]["content"].strip(), body["usage"]["total_tokens"])
    return tuple(SampleAnswer(name, prompt, *found[name]) for name, prompt in prompts.items() if name in found)


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """What was answered for a document; the places that the answer cites, like `[1] returns.pdf, page 1`; and what it was given to read."""

    document: str
    answer: str
    cited: tuple[str, ...]
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DocumentsResult:
    """The whole job of documents; seconds from its submission to its end."""

    job_id: str
    question: str
    answers: tuple[CitedAnswer, ...]
    seconds: float
    tokens: int
    cost_usd: str


def read_cited_answers(lines: Iterable[str]) -> tuple[CitedAnswer, ...]:
    """The lines of a job's results; a document without an answer tells why."""
    return tuple(_cited_answer(json.loads(line)) for line in lines if line.strip())


def _cited_answer(line: Mapping[str, Any]) -> CitedAnswer:
    answer = line["answer"] if line["error"] is None else f"({line['error']['message']})"
    cited = [f"[{one['number']}] {_place(one['document']['name'], one['anchor'])}" for one in line["citations"]]
    given = [_place(one["document"]["name"], one["anchor"]) for one in line["given"]]
    return CitedAnswer(line["document"]["name"], str(answer).strip(), tuple(cited), tuple(dict.fromkeys(given)))


def _place(document: str, anchor: str) -> str:
    return f"{document}, {anchor}" if anchor else document
