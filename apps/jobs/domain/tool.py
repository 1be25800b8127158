"""A tool that the platform runs when a model asks for it: what it is called, what it takes, and what may be lost or done twice.

An operator's own module offers a sequence `TOOLS` of them, and is named in the setting AIPLATFORM_TOOLS (docs/tools.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

import jsonschema_rs

_MESSAGE_LENGTH = 300


class SideEffect(StrEnum):
    """What a tool does to the world; it decides whether it may be run again when its end is not known."""

    PURE = "pure"  # computes: the same arguments bring the same result
    READ = "read"  # looks something up: it may be looked up again
    WRITE = "write"  # changes something: never run twice


class ToolFailedError(Exception):
    """A tool could not do what it was asked; the text is told to the model."""


class ToolRefusedError(Exception):
    """A request's options for a tool make no sense; `option` is the one that is wrong."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option, self.message = option, message


@dataclass(frozen=True, slots=True)
class PinScope:
    """The state that a retrieval is pinned to: whoever asks the same in it reads the same. `state`: as its callers know it."""

    scope: str
    state_version: int
    state: str = ""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """On whose behalf a tool runs. `options` are the request's own, never the model's.

    `idempotency_key` is the same whenever this very call is made again, and no other call's: hand it on to what you write to.
    `state`: that of the conversation which the model was asked in; empty where it was asked in none.
    """

    workspace_id: UUID
    api_key_id: UUID | None
    end_user: str
    item_id: UUID
    run_id: UUID
    idempotency_key: str
    options: Mapping[str, Any]
    now: datetime
    pin: PinScope | None = None

    @property
    def state(self) -> str:
        return self.pin.state if self.pin else ""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What the model is told (`content`: a text, or what JSON can say), and the snapshot that it comes from."""

    content: Any
    snapshot_id: str = ""


def no_options(options: Mapping[str, Any], workspace_id: UUID) -> None:  # noqa: ARG001 -- every tool's check has this form
    """ToolRefusedError for any: most tools take none."""
    for option in options:
        raise ToolRefusedError(option, "is no option of this tool; it takes none.")


@dataclass(frozen=True)
class Tool:
    """`run` gets the context and the model's arguments, which fit `parameters` (a JSON schema of an object).

    It is called on a thread with a database connection of its own; what it raises is told to the model as a failure. It has
    `limit_seconds`. `check_options` raises ToolRefusedError before a request is taken. A tool `in_transaction` writes nowhere but to the
    platform's own database: its writes are committed together with the record that it has run, so they happen exactly once.
    `is_ours`: the platform's own; a store that it can't reach is an outage of the platform, after which it is run again.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    side_effect: SideEffect
    run: Callable[[ToolContext, dict[str, Any]], Any]
    limit_seconds: float = 30.0
    in_transaction: bool = False
    is_ours: bool = False
    check_options: Callable[[Mapping[str, Any], UUID], None] = no_options

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(dict(self.parameters))

    def why_not(self, arguments: Any) -> str | None:
        """What is wrong with a model's arguments, for the model; None when they fit."""
        if not isinstance(arguments, dict):
            return "The arguments must be a JSON object."
        try:
            self._validator.validate(arguments)
        except jsonschema_rs.ValidationError as wrong:
            place = "".join(f".{part}" for part in wrong.instance_path)
            return f"The arguments don't fit the tool's schema at ${place}: {wrong.message[:_MESSAGE_LENGTH]}"
        return None
