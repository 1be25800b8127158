"""Recipes: how documents become answers. A step asks once for each part, each document, or once for the whole job, of steps before it.

What a step's texts may use: `{{ document }}` (its name), `{{ text }}` (the part's, or the whole document's), `{{ anchor }}`, `{{ part }}`,
`{{ parts }}`, `{{ passages }}` (what was retrieved, numbered), the names of the steps it comes after, and its own `values`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson

from apps.providers.domain.policy import PLAIN, AnswerPolicy, load_policy

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
NAME_RULE = "A recipe's name has up to 50 small letters, digits, '.', '_' and '-', and begins with a letter or digit."


class Each(StrEnum):
    """What a step asks once for."""

    PART = "part"
    DOCUMENT = "document"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage. `after`: steps whose results it uses. `values`: what its texts' own variables mean; data, never read for placeholders.

    `passages`: how many are retrieved for `query` (a template as `user` is): from the document, or from all for a step of the job.
    Of these the best that fit `window_tokens` together with the rest of the request and its answer; 0: all.
    `group`: so many results go into one request at most; what comes of several groups is grouped again until one is left. 0: all at once.
    `part_tokens`: how long a part is, for a step that asks for each part.
    """

    name: str
    each: Each
    user: str
    model: str
    system: str = ""
    after: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None
    prompt_version: str = ""
    query: str = ""
    passages: int = 0
    window_tokens: int = 0
    group: int = 0
    part_tokens: int = 0

    def as_json(self) -> dict[str, Any]:
        """As a recipe stores it; what is usual is left out."""
        told: dict[str, Any] = {"name": self.name, "each": self.each.value, "user": self.user, "model": self.model}
        told |= {name: getattr(self, name) for name in _TEXTS_AND_NUMBERS if getattr(self, name)}
        if self.after:
            told["after"] = list(self.after)
        told |= {name: dict(getattr(self, name)) for name in ("values", "parameters") if getattr(self, name)}
        if self.output_schema is not None:
            told["output_schema"] = dict(self.output_schema)
        return told


_TEXTS_AND_NUMBERS = ("system", "prompt_version", "query", "passages", "window_tokens", "group", "part_tokens")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job of documents does: its steps, each after those that it uses; what the last one answers is the result."""

    steps: tuple[Step, ...]
    policy: AnswerPolicy = PLAIN

    @property
    def result_step(self) -> Step:
        return self.steps[-1]

    @property
    def answers_once(self) -> bool:
        """Whether there is one answer to all documents together, not one for each."""
        return self.result_step.each is Each.JOB

    def as_text(self) -> str:
        """As a recipe stores it: JSON."""
        return orjson.dumps({"steps": [step.as_json() for step in self.steps], "policy": self.policy.as_json()}).decode()


@lru_cache(maxsize=64)
def load_plan(stored: str) -> Plan:
    """As a recipe stores it; what it says was checked when it was declared."""
    values = orjson.loads(stored)
    return Plan(tuple(_load_step(step) for step in values["steps"]), load_policy(values["policy"]))


def _load_step(stored: Mapping[str, Any]) -> Step:
    return Step(**{**stored, "each": Each(stored["each"]), "after": tuple(stored.get("after", ()))})
