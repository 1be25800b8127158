"""Streams event by event: tools, reasoning, several choices; and what hostile or broken providers send."""

from typing import Any

import orjson
import pytest

from apps.providers.adapters.anthropic_answer import write_chat_completion
from apps.providers.adapters.anthropic_stream import MessageStream
from apps.providers.adapters.openai_stream import ChatStream
from apps.providers.domain.chat_stream import ChatAssembly, StreamBrokenError

DELTA = {"role": "assistant", "content": None}


def chunk(delta: dict[str, Any], *, index: int = 0, finish: str | None = None) -> bytes:
    choices = [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return orjson.dumps({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices})


def fed(stream: Any, *events: bytes) -> list[Any]:
    return [orjson.loads(told) for event in events for told in stream.feed(event)]


def test_chat_stream_puts_tool_calls_and_choices_together() -> None:
    stream = ChatStream(has_usage=False)
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "find", "arguments": ""}}
    told = fed(
        stream,
        chunk(DELTA | {"tool_calls": [call]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
        # Some say each name again, and nothing in it.
        chunk({"tool_calls": [{"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": ":1}"}}]}),
        chunk({"content": "he", "reasoning_content": "hm"}, index=1),
        chunk({"content": "llo"}, index=1, finish="stop"),
        # Not an end either.
        chunk({}, finish=""),
    )
    assert stream.whole() is None
    told += fed(stream, chunk({}, finish="tool_calls"), orjson.dumps({"choices": [], "usage": {"prompt_tokens": 3}}), b"[DONE]")
    whole = orjson.loads(stream.whole() or b"")
    function = {"name": "find", "arguments": '{"a":1}'}
    assert whole["choices"][0]["message"]["tool_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    assert [choice["finish_reason"] for choice in whole["choices"]] == ["tool_calls", "stop"]
    assert whole["choices"][1]["message"] == {"role": "assistant", "content": "hello", "refusal": None, "reasoning_content": "hm"}
    assert (whole["id"], whole["created"], whole["usage"]) == ("c1", 7, {"prompt_tokens": 3})
    # Nobody asked for the usage: its chunk is told to nobody.
    assert len(told) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b'{"choices": 7}',
        b'{"choices": [7]}',
        b'{"choices": [{"index": -1}]}',
        b'{"choices": [{"index": 100000}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": "0"}]}}]}',
        b'{"error": {"message": "overloaded"}}',
    ],
)
def test_chat_stream_broken(data: bytes) -> None:
    with pytest.raises(StreamBrokenError):
        ChatStream(has_usage=True).feed(data)


START = {
    "type": "message_start",
    "message": {"id": "m1", "type": "message", "role": "assistant", "model": "claude", "usage": {"input_tokens": 9}},
}
END = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}


def messages(*events: dict[str, Any]) -> list[bytes]:
    return [orjson.dumps(event) for event in events]


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    grown = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *grown,
        {"type": "content_block_stop", "index": index},
    ]


def test_message_stream_with_thinking_text_and_a_tool() -> None:
    stream = MessageStream(has_usage=True, created=7)
    tool = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}
    thoughts = ({"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "s"})
    told = fed(
        stream,
        *messages(
            START,
            {"type": "ping"},
            *block(0, {"type": "thinking", "thinking": ""}, *thoughts),
            *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "I "}, {"type": "text_delta", "text": "look."}),
            *block(2, tool, *[{"type": "input_json_delta", "partial_json": piece} for piece in ('{"a"', ": 1}")]),
            END,
            {"type": "message_stop"},
        ),
    )  # fmt: skip
    whole = orjson.loads(stream.whole() or b"")
    assert [one["type"] for one in whole["content"]] == ["thinking", "text", "tool_use"]
    assert (whole["content"][0], whole["content"][2]["input"]) == ({"type": "thinking", "thinking": "hm", "signature": "s"}, {"a": 1})
    assert whole["usage"] == {"input_tokens": 9, "output_tokens": 5}
    assembly = ChatAssembly()
    for one in told:
        assembly.add(one)
    put_together, translated = assembly.whole(), write_chat_completion(whole, None, created=7)
    assert put_together is not None
    assert translated is not None
    message, wanted = put_together["choices"][0]["message"], translated["choices"][0]["message"]
    assert (message["content"], put_together["choices"][0]["finish_reason"]) == ("I look.", "tool_calls")
    assert orjson.loads(message["tool_calls"][0]["function"].pop("arguments")) == orjson.loads(
        wanted["tool_calls"][0]["function"].pop("arguments")
    )
    assert message["tool_calls"] == wanted["tool_calls"]
    assert put_together["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    "event",
    [
        {"no": "type"},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_start", "index": "0", "content_block": {}},
    ],
)
def test_message_stream_broken(event: dict[str, Any]) -> None:
    with pytest.raises(StreamBrokenError):
        MessageStream(has_usage=True, created=7).feed(orjson.dumps(event))


@pytest.mark.parametrize("missing", [-1, -2])
def test_message_stream_that_ends_early_is_not_whole(missing: int) -> None:
    stream = MessageStream(has_usage=True, created=7)
    events = messages(START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "I"}), END, {"type": "message_stop"})
    fed(stream, *events[:missing])
    assert stream.whole() is None
