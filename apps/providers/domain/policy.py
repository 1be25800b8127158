"""How an answer is to be come by: cached, checked, from a cheaper model first, without failover. Plain unless a job or a call says so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from apps.providers.domain.acceptance import Rule, RuleInvalidError, read_rules
from apps.providers.domain.contract import ContractRefusedError, read_contract

MODEL_LENGTH = 200
# Of a batch's metadata, and the header that says the same of a single call.
KEYS = {
    "cache": "X-Cache",
    "output_contract": "X-Output-Contract",
    "first_model": "X-First-Model",
    "accept_if": "X-Accept-If",
    "failover": "X-Failover",
}
# What these endpoints answer is a text that can be judged.
_JUDGED = ("/v1/chat/completions", "/v1/responses")
_SWITCH = {"on": True, "off": False}
_SECONDS = re.compile(r"[1-9]\d{0,9}", re.ASCII)


class PolicyRefusedError(Exception):
    """A value makes no sense; `param` is what the caller knows it by."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param, self.message = param, message


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """How long answers are kept when nobody says, and at most."""

    usual_seconds: int = 24 * 3600
    most_seconds: int = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """`cache_seconds`: how old a kept answer may be, and how long ours is kept. `accept_if` judges the answers of `first_model`."""

    cache_seconds: int | None = None
    has_contract: bool = False
    first_model: str = ""
    accept_if: str = ""
    has_failover: bool = True

    @property
    def is_steered(self) -> bool:
        """More than one call may be needed."""
        return self.has_contract or bool(self.first_model)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return read_rules(self.accept_if)

    @property
    def needs_contract(self) -> bool:
        """The request must say what its answer looks like."""
        return self.has_contract or any(rule.is_schema for rule in self.rules)

    def as_json(self) -> dict[str, Any] | None:
        """What a job keeps of it; None for the plain one."""
        if self == PLAIN:
            return None
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) != getattr(PLAIN, name)}

    def in_words(self) -> str:
        """For people; empty for the plain one."""
        parts = [f"answers are kept for {self.cache_seconds:,} s"] if self.cache_seconds else []
        parts += ["answers must keep their contract"] if self.has_contract else []
        if self.first_model:
            parts.append(f"{self.first_model} is asked first, accepted if {self.accept_if or 'it has not refused'}")
        return "; ".join([*parts, *([] if self.has_failover else ["no failover"])])


PLAIN = AnswerPolicy()
USUAL_TIMES = CacheTimes()


def load_policy(stored: Mapping[str, Any] | None) -> AnswerPolicy:
    """As a job keeps it; a name that this version doesn't know is left out."""
    return AnswerPolicy(**{name: stored[name] for name in AnswerPolicy.__slots__ if name in stored}) if stored else PLAIN


def of_metadata(metadata: Mapping[str, str]) -> "Given":
    """What a batch's metadata say."""
    return Given({key: (f"metadata.{key}", metadata[key]) for key in KEYS if key in metadata})


def of_headers(headers: Mapping[str, str]) -> "Given":
    """What a call's headers say."""
    return Given({key: (name, text) for key, name in KEYS.items() if (text := headers.get(name)) is not None})


@lru_cache(maxsize=256)
def parse_policy(stored: str | None) -> AnswerPolicy:
    """As it comes out of the database: JSON as a text."""
    return load_policy(orjson.loads(stored)) if stored else PLAIN


class Given:
    """The texts that were given, each under the name that its caller knows."""

    def __init__(self, texts: Mapping[str, tuple[str, str]]) -> None:
        self._texts = {key: (name, text.strip()) for key, (name, text) in texts.items() if text.strip()}

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, key: str, default: str = "") -> str:
        return self._texts[key][1] if key in self._texts else default

    def refuse(self, key: str, message: str) -> PolicyRefusedError:
        name = self._texts[key][0]
        return PolicyRefusedError(name, f"'{name}' {message}")

    def refuse_value(self, key: str, allowed: str) -> PolicyRefusedError:
        name, text = self._texts[key]
        return PolicyRefusedError(name, f"Invalid value {text[:100]!r} for '{name}': use {allowed}.")


def read_policy(given: Given, *, endpoint: str, times: CacheTimes) -> AnswerPolicy:
    """PolicyRefusedError names the first text that is wrong."""
    if not given:
        return PLAIN
    policy = AnswerPolicy(
        cache_seconds=_cache_seconds(given, times),
        has_contract=_switch(given, "output_contract", default="off"),
        first_model=_first_model(given),
        accept_if=_accept_if(given),
        has_failover=_switch(given, "failover", default="on"),
    )
    for key, is_set in (("output_contract", policy.has_contract), ("first_model", bool(policy.first_model))):
        if is_set and endpoint not in _JUDGED:
            raise given.refuse(key, f"is for {' and '.join(_JUDGED)} alone: what {endpoint} answers can't be judged.")
    return policy


def check_request(policy: AnswerPolicy, body: dict[str, Any], *, endpoint: str) -> None:
    """ContractRefusedError when the policy can't be kept for this request; its `param` is the place in the body."""
    if policy.first_model and body.get("model") == policy.first_model:
        raise ContractRefusedError(f"The request asks for {policy.first_model[:100]!r}, which is the first model as well.", "model")
    if policy.needs_contract:
        read_contract(body, endpoint=endpoint)


def _switch(given: Given, key: str, *, default: str) -> bool:
    text = given.text(key, default)
    if text not in _SWITCH:
        raise given.refuse_value(key, "'on', 'off'")
    return _SWITCH[text]


def _cache_seconds(given: Given, times: CacheTimes) -> int | None:
    text = given.text("cache", "off")
    if text in _SWITCH:
        return min(times.usual_seconds, times.most_seconds) if _SWITCH[text] else None
    if not _SECONDS.fullmatch(text) or int(text) > times.most_seconds:
        raise given.refuse_value("cache", f"'on', 'off' or whole seconds up to {times.most_seconds}")
    return int(text)


def _first_model(given: Given) -> str:
    name = given.text("first_model")
    if len(name) > MODEL_LENGTH:
        raise given.refuse("first_model", f"has {len(name)} characters; {MODEL_LENGTH} at most.")
    if not name and given.text("accept_if"):
        raise given.refuse("accept_if", "judges the answers of a first model: name that as well.")
    return name


def _accept_if(given: Given) -> str:
    text = given.text("accept_if")
    try:
        read_rules(text)
    except RuleInvalidError as error:
        raise given.refuse("accept_if", str(error)) from error
    return text
