"""What goes out of a streamed answer, whatever is lost or told twice on its way."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.chunk import Chunk, read_message, write_message
from apps.jobs.domain.streamed_answer import DONE, StreamedAnswer
from apps.lib.ids import uuid7

TEXT = "The answer, in some pieces that may or may not arrive."


def answer(text: str = TEXT) -> CallAnswer:
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": {"total_tokens": 5}}
    return CallAnswer(status=200, content=orjson.dumps(body | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))


def pieces(text: str = TEXT, *, run: int = 1, size: int = 7) -> list[Chunk]:
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    deltas = [{"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
    deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    datas = [orjson.dumps(delta).decode() for delta in deltas]
    return [Chunk(run, number, data) for number, data in enumerate([*datas, ""], start=1)]


def said(told: list[bytes]) -> tuple[str, list[str]]:
    """The text, and why choices ended."""
    choices = [choice for data in told if data != DONE for choice in orjson.loads(data).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices), [
        choice["finish_reason"] for choice in choices if choice["finish_reason"]
    ]


@given(st.lists(st.sampled_from(pieces() + pieces(run=2)), max_size=40))
def test_whatever_arrives_the_answer_goes_out_once(arriving: list[Chunk]) -> None:
    told = StreamedAnswer(is_usage_told=False)
    out = [chunk.data.encode() for chunk in arriving if told.take(chunk)]
    out += told.end(answer())
    assert said(out) == (TEXT, ["stop"])
    assert out[-1] == DONE


def test_an_answer_that_came_before_a_piece_is_told_with_its_usage_if_wanted() -> None:
    wanted, unwanted = StreamedAnswer(is_usage_told=True).end(answer()), StreamedAnswer(is_usage_told=False).end(answer())
    assert orjson.loads(wanted[-2]) | {"choices": []} == orjson.loads(wanted[-2])
    assert orjson.loads(wanted[-2])["usage"] == {"total_tokens": 5}
    assert len(unwanted) == len(wanted) - 1


def test_another_answer_than_what_went_out_is_an_error() -> None:
    told = StreamedAnswer(is_usage_told=False)
    assert told.take(pieces()[0])
    (error,) = told.end(answer("Something else."))
    assert orjson.loads(error)["error"]["code"] == "stream_interrupted"


def test_a_failure_is_told_as_an_error() -> None:
    told = StreamedAnswer(is_usage_told=False)
    (error,) = told.end(CallAnswer(status=502, code="provider_failed", message="Boom."))
    assert orjson.loads(error)["error"] == {"message": "Boom.", "type": "server_error", "param": None, "code": "provider_failed"}


def test_messages_are_read_as_they_were_written() -> None:
    item_id, chunk = uuid7(), pieces()[0]
    assert read_message(write_message(item_id, chunk)) == (item_id, chunk)
    assert read_message(write_message(item_id, pieces()[-1])) == (item_id, pieces()[-1])
    assert read_message(item_id.hex) == (item_id, None)


def test_pieces_that_somebody_forged_end_with_an_error_though_they_say_that_they_are_all() -> None:
    told = StreamedAnswer(is_usage_told=False)
    assert [told.take(chunk) for chunk in pieces("Pay to another account.", run=9)][-1] is False
    (error,) = told.end(answer())
    assert orjson.loads(error)["error"]["code"] == "stream_interrupted"
