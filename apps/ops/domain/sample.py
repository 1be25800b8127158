"""What the sample batch came to, for showing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


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
