"""What the caller of a streamed answer has been told, and what it still needs."""

from typing import Any

import orjson

from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.chunk import Chunk, read_id
from apps.providers.domain.chat_stream import ChatAssembly, StreamBrokenError, split_completion, without_usage

DONE = b"[DONE]"
# The id of a piece before any.
NOTHING = "0-0"
_INTERRUPTED = CallAnswer(
    status=502,
    code="stream_interrupted",
    message="The stream broke off, and the answer that was come by then is another one. It is stored: its item's id is in X-Item-Id.",
)


class StreamedAnswer:
    """The pieces of one item's answer that went out, of one run or of runs that go on where the one before had ended.

    What a run tells that begins anew can't be put behind them.

    `after`: (run, number) of the last piece that its reader had before.
    """

    def __init__(self, *, is_usage_told: bool, after: tuple[int, int] | None = None) -> None:
        self._is_usage_told = is_usage_told
        self._told: list[str] = []
        self._run, self._number = after or (0, 0)
        self._is_from_begin = after is None
        self.is_complete = False

    @property
    def has_begun(self) -> bool:
        return bool(self._told)

    @property
    def last_id(self) -> str:
        return f"{self._run}-{self._number}"

    def is_of_another_run(self, chunk: Chunk) -> bool:
        """It can't stand behind what went out."""
        return self._run not in (0, chunk.run) and not self.goes_on(chunk)

    def goes_on(self, chunk: Chunk) -> bool:
        """A run begins there that follows what went out; what the piece says is known."""
        return chunk.behind == self.last_id

    def is_ahead(self, chunk: Chunk) -> bool:
        """Pieces are missing before it."""
        if self.has_begun and chunk.behind and (behind := read_id(chunk.behind)):
            return behind > (self._run, self._number) and behind[0] == self._run
        is_of_run = chunk.run == self._run or (not self.has_begun and chunk.run > self._run)
        return is_of_run and chunk.number > (self._number if chunk.run == self._run else 0) + 1

    def take(self, chunk: Chunk) -> bool:
        """Whether it is to go out: it is the next one of the run, or the first of one when nothing has gone out yet."""
        if self.goes_on(chunk):
            self._run, self._number = chunk.run, chunk.number
            return False
        if not self.has_begun and chunk.run > self._run:
            self._run, self._number = chunk.run, 0
        if chunk.run != self._run or chunk.number != self._number + 1:
            return False
        self._number = chunk.number
        if chunk.is_last:
            self.is_complete = True
            return False
        self._told.append(chunk.data)
        return True

    def end(self, answer: CallAnswer) -> list[bytes]:
        """What goes out last: what is missing of the answer and the word that all is said, or an error."""
        if answer.content is None or answer.status != 200:
            return [error_chunk(answer)]
        rest = [] if self.is_whole(answer) else self._rest(answer.content)
        return [error_chunk(_INTERRUPTED)] if rest is None else [*rest, DONE]

    def is_whole(self, answer: CallAnswer) -> bool:
        """Whether all of the stored answer went out, as far as this reader has read it from its begin."""
        if not self.is_complete or answer.content is None or answer.status != 200:
            return False
        return not self._is_from_begin or self._is_told(answer.content)

    def _is_told(self, answer: bytes) -> bool:
        """Whether what went out is the stored answer: whoever reaches Redis may tell pieces, and say that they are all."""
        try:
            assembly = self._assembled()
            wanted = orjson.loads(answer)["choices"]
            told = assembly.whole()
        except (orjson.JSONDecodeError, StreamBrokenError, KeyError, TypeError):
            return False
        return told is not None and [_said(choice) for choice in told["choices"]] == [_said(choice) for choice in wanted]

    def _assembled(self) -> ChatAssembly:
        assembly = ChatAssembly()
        for data in self._told:
            assembly.add(orjson.loads(data))
        return assembly

    def _rest(self, answer: bytes) -> list[bytes] | None:
        """None when the answer isn't what went out."""
        try:
            completion = orjson.loads(answer)
            assembly = self._assembled()
        except (orjson.JSONDecodeError, StreamBrokenError):
            return None
        if not isinstance(completion, dict) or assembly.has_tool_calls:
            return None
        chunks = split_completion(completion, assembly.texts)
        if chunks is None:
            return None
        return [orjson.dumps(chunk) for chunk in (chunks if self._is_usage_told else without_usage(chunks))]


def _said(choice: Any) -> tuple[Any, Any]:
    """What a choice says, and which tools it calls by which names; how a provider writes their arguments may differ."""
    message = choice["message"]
    calls = message.get("tool_calls") or ()
    return message.get("content") or "", [call["function"]["name"] for call in calls]


def error_chunk(answer: CallAnswer) -> bytes:
    """As OpenAI's clients know an error in the middle of a stream."""
    kind = "server_error" if answer.status >= 500 else "invalid_request_error"
    error: dict[str, Any] = {"message": answer.message, "type": kind, "param": None, "code": answer.code}
    return answer.content or orjson.dumps({"error": error})
