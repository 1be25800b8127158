"""What of a step's pieces goes out: its words, live. Which tools it calls, and how it ends, is known when the step is over."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from apps.jobs.domain.tool_course import JOINT
from apps.providers.domain.chat_stream import split_completion, without_usage

_HIDDEN = ("tool_calls", "function_call")


class Tell(Protocol):
    """What takes the pieces of one run (see ChunkTeller)."""

    @property
    def last_id(self) -> str:
        """The last piece that it took; empty before the first."""

    def __call__(self, data: bytes, *, behind: str = "") -> None:
        """`behind`: the piece of an earlier run that these follow; `data` then says again what had been said."""


class StepTeller:
    """The pieces of one run of an item that calls tools, put behind what earlier ones have told.

    `said`: what these have said, `head` the names that the first of them gave to the answer, `behind` its last piece.
    """

    def __init__(self, tell: Tell, *, said: str = "", head: Mapping[str, Any], behind: str = "") -> None:
        self._tell = tell
        self._before = self._said = said
        self._head, self._behind = head, behind
        self._has_words = False

    @property
    def last_id(self) -> str:
        return self._tell.last_id

    def __call__(self, data: bytes) -> None:
        """One chunk as the provider's adapter tells it."""
        chunk = orjson.loads(data)
        choices = [choice for choice in chunk.get("choices") or () if isinstance(choice, dict)]
        if not choices:
            return
        choice = choices[0]
        delta = dict(choice["delta"]) if isinstance(choice.get("delta"), dict) else {}
        for name in _HIDDEN:
            delta.pop(name, None)
        if self._behind:
            delta.pop("role", None)
        content = delta.get("content")
        if isinstance(content, str) and content:
            if self._said and not self._has_words:
                delta["content"] = JOINT + content
            self._has_words = True
            self._said += delta["content"]
        if any(value not in (None, "") for name, value in delta.items() if name != "role") or "role" in delta:
            told = {name: value for name, value in chunk.items() if name != "usage"}
            self._emit({**told, **self._head, "choices": [{**choice, "delta": delta, "finish_reason": None}]})

    def end(self, final: Mapping[str, Any], *, has_usage: bool) -> None:
        """Whatever of the final answer has not been told, and that this is all. Nothing when something else was told."""
        rest = split_completion(final, {0: self._said})
        if rest is None:
            return
        for chunk in rest if has_usage else without_usage(rest):
            self._emit(chunk)
        self._tell(b"")

    def _emit(self, chunk: Mapping[str, Any]) -> None:
        if self._behind:
            restated = {"index": 0, "delta": {"role": "assistant", "content": self._before}, "finish_reason": None}
            self._tell(orjson.dumps({**chunk, "choices": [restated]}), behind=self._behind)
            self._behind = ""
        self._tell(orjson.dumps(chunk))
