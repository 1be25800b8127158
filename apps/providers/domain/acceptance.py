"""When the answer of a model that is asked first will do: it has not refused, fits its schema, is sure enough."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import orjson

from apps.providers.domain.contract import Contract, ContractBrokenError
from apps.providers.domain.said import Said

_MOST_RULES = 8
_LEAST = re.compile(r"([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\s*>=\s*(-?\d{1,9}(?:\.\d{1,9})?)", re.ASCII)


class RuleInvalidError(Exception):
    """The text is no list of rules."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`schema`, `not_refused`, or a field of the JSON answer that is at least a number."""

    kind: str
    path: tuple[str, ...] = ()
    least: float = 0.0

    @property
    def is_schema(self) -> bool:
        return self.kind == "schema"


@lru_cache(maxsize=256)
def read_rules(text: str) -> tuple[Rule, ...]:
    """Rules with commas between them, for example `schema, confidence >= 0.8`; none for an empty text."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if len(parts) > _MOST_RULES:
        raise RuleInvalidError(f"has {len(parts)} rules; {_MOST_RULES} at most.")
    return tuple(map(_rule, parts))


def _rule(part: str) -> Rule:
    if part in {"schema", "not_refused"}:
        return Rule(part)
    found = _LEAST.fullmatch(part)
    if found is None:
        known = "'schema', 'not_refused' or a field with its least value, like 'confidence>=0.8'"
        raise RuleInvalidError(f"holds {part[:100]!r}, which is no rule: use {known}.")
    return Rule("least", tuple(found[1].split(".")), float(found[2]))


def why_not_accepted(said: Said, rules: Sequence[Rule], contract: Contract | None) -> str:
    """What speaks against the answer; empty: it is accepted. A refusal never is; tool calls are no texts that rules could judge."""
    if said.is_refused:
        return "the model refused"
    if said.is_tool_call:
        return ""
    if contract is not None:
        try:
            contract.check(said)
        except ContractBrokenError as broken:
            return str(broken)
    return next((reason for rule in rules if (reason := _why_not(said, rule))), "")


def _why_not(said: Said, rule: Rule) -> str:
    if rule.kind != "least":
        return ""
    name = ".".join(rule.path)
    for text in said.texts:
        value = _field(text, rule.path)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            return f"its {name} is no number"
        if value < rule.least:
            return f"its {name} is {value:g}, below {rule.least:g}"
    return "" if said.texts else f"it has no {name}"


def _field(text: str, path: Sequence[str]) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
