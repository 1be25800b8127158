"""A key that comes piece by piece is told to nobody and kept nowhere; everything else comes as it is."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.redaction import REDACTED, forms_of
from apps.lib.sse import write_event
from apps.providers.domain.chat_stream import ChatAssembly
from apps.providers.domain.clear_key import ChunkClearing, clear_answer

KEY = "sk-live-0123456789abcdef"
SAID = f"I was sent {KEY}, was I?"


def chunk(delta: Any, *, index: int = 0, finish: str | None = None, logprobs: Any = None) -> dict[str, Any]:
    choices = [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices}


def token(text: str) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": -0.1, "bytes": list(text.encode())}]}


def cleared(chunks: Sequence[dict[str, Any]], secret: str = KEY) -> list[dict[str, Any]]:
    clearing = ChunkClearing(secret)
    return [orjson.loads(clearing.clear(orjson.dumps(one))) for one in chunks]


def put_together(chunks: Sequence[dict[str, Any]]) -> Any:
    assembly = ChatAssembly()
    for one in chunks:
        assembly.add(one)
    return assembly.whole()


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("form", forms_of(KEY))
def test_in_whatever_pieces_and_whatever_form(form: str, size: int) -> None:
    said = f"before {form} after s"
    told = cleared([*(chunk({"content": piece}) for piece in cut(said, size)), chunk({}, finish="stop")])
    assert put_together(told)["choices"][0]["message"]["content"] == f"before {REDACTED} after s"
    assert len(told) == len(cut(said, size)) + 1


def test_in_each_text_of_each_choice() -> None:
    """The pieces of several texts come in turns; a text is told to its end before its choice goes on with another."""
    chunks = [chunk({"role": "assistant", "reasoning_content": "it says"})]
    for piece in cut(SAID, 4):
        call = {"index": 1, "function": {"arguments": piece}}
        chunks += [chunk({"content": piece}, index=1), chunk({"tool_calls": [call]}), chunk({"audio": {"transcript": piece}}, index=2)]
    chunks += [chunk({"content": "yes"}, index=3), chunk({"content": "ok"}, index=3, finish="stop")]
    chunks += [chunk({}, index=index, finish="stop") for index in range(3)]
    told = cleared(chunks)
    assert KEY[4:] not in orjson.dumps(told).decode()
    whole = put_together(told)["choices"]
    expected = f"I was sent {REDACTED}, was I?"
    assert whole[1]["message"]["content"] == expected
    assert whole[0]["message"]["tool_calls"][0]["function"]["arguments"] == expected
    assert whole[0]["message"]["reasoning_content"] == "it says"
    deltas = [one["choices"][0]["delta"] for one in told if one["choices"][0]["index"] == 2]
    assert "".join(delta.get("audio", {}).get("transcript", "") for delta in deltas) == expected
    assert [one["choices"][0]["delta"]["content"] for one in told if one["choices"][0]["index"] == 3] == ["ye", "sok"]


@given(st.lists(st.text("sk-live0123456789abcdef6", max_size=6), max_size=20))
def test_what_only_resembles_it_comes_whole(pieces: list[str]) -> None:
    told = cleared([*(chunk({"content": piece}) for piece in pieces), chunk({"content": ""}, finish="stop")])
    assert put_together(told)["choices"][0]["message"]["content"] == "".join(pieces)


def test_ordinary_pieces_are_the_same_bytes() -> None:
    clearing = ChunkClearing(KEY)
    for delta in ({"role": "assistant", "content": ""}, {"content": "A word, "}, {"tool_calls": [{"index": 0, "id": "call_s"}]}, None):
        data = orjson.dumps(chunk(delta, logprobs=token("a")))
        assert clearing.clear(data) is data


def test_tokens_wait_with_their_text_and_go_with_it() -> None:
    innocent = cleared([chunk({"content": piece}, logprobs=token(piece)) for piece in ("dogs", " run", ".")])
    assert [one["choices"][0]["logprobs"] and len(one["choices"][0]["logprobs"]["content"]) for one in innocent] == [None, 2, 1]
    told = cleared([chunk({"content": piece}, logprobs=token(piece)) for piece in cut(SAID, 3)])
    assert "123" not in orjson.dumps(told).decode()
    assert str(list(b"123"))[1:-1].replace(" ", "") not in orjson.dumps(told).decode()


@pytest.mark.parametrize(
    "deltas",
    [
        [{"a": "sk-"}, {"a": {"b": "sk-"}}, {"a": [{"index": 0, "b": "sk-"}]}, {"a": [["sk-"], 7, "sk-", {"index": 10**9, "b": "s"}]}],
        [{"tool_calls": [{"index": 0, "function": {"arguments": "sk-"}}]}, {"tool_calls": "sk-"}, {"tool_calls": {"0": "sk-"}}],
        ["sk-", [{"content": "sk-"}], 7],
    ],
)
def test_deltas_of_no_sensible_shape(deltas: list[Any]) -> None:
    told = cleared([*(chunk(delta) for delta in deltas), chunk({"a": "x", "tool_calls": "x"}, finish="stop", logprobs="x")])
    assert len(told) == len(deltas) + 1


def events(chunks: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(write_event(orjson.dumps(one)) for one in chunks)


def anthropic(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


@pytest.mark.parametrize("size", [1, 5, 23])
@pytest.mark.parametrize("form", forms_of(KEY))
def test_of_a_stream_that_was_cut_nothing_of_it_is_kept(form: str, size: int) -> None:
    """Whole, or cut off in its midst, between two events or within one."""
    for said in (f"before {form} after", f"before {form}", f"before {form[:-1]}", f"before {form[:12]}"):
        for kind in (lambda text: chunk({"content": text}, logprobs=token(text)), anthropic):
            came = events([kind(piece) for piece in cut(said, size)])
            half = b'data: {"content": "' + form[size:].encode() + b'"'
            for body in (came, came + half, came[: -size - 10], came.replace(b"\n", b"\r\n")):
                kept = clear_answer(body, KEY, is_events=True, is_cut=True)
                assert form.encode() not in kept
                # No more can be read than its beginning, which is no secret.
                assert form[:11] not in _text_of(kept)
                assert form[:8].encode() not in kept


def _text_of(body: bytes) -> str:
    told = []
    for line in body.split(b"\n"):
        if line.startswith(b"data: "):
            try:
                event = orjson.loads(line[6:])
            except orjson.JSONDecodeError:
                told.append(line[6:].decode())
                continue
            told.append(event["delta"]["text"] if "delta" in event else event["choices"][0]["delta"]["content"])
    return "".join(told)


def test_a_cut_stream_without_it_is_kept_as_it_came() -> None:
    body = b": hello\r\n\r\nevent: x\r\nid: 7\r\n" + events([chunk({"content": "good"}), chunk({"content": " word"})]) + b"data: {"
    assert clear_answer(body, KEY, is_events=True, is_cut=True) is body
    assert clear_answer(b"half", KEY, is_events=False, is_cut=True) == b"half"
    for garbage in (b"data: \xff\n\ndata: 7\n\n", b'data: {"a":' + b"[" * 900 + b"]" * 900 + b"}\n\n", b"\n\n\n"):
        assert clear_answer(garbage, KEY, is_events=True, is_cut=True) is garbage


def test_an_answer_that_tells_it_loses_its_tokens_as_well() -> None:
    body = orjson.dumps({"choices": [{"message": {"content": SAID}, "logprobs": token("sk-live-")}]})
    kept = clear_answer(body, KEY, is_events=False, is_cut=False)
    assert orjson.loads(kept) == {"choices": [{"message": {"content": f"I was sent {REDACTED}, was I?"}, "logprobs": None}]}
