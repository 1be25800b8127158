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


def going_on(*, behind: Chunk, said_before: str, text: str, run: int = 2) -> list[Chunk]:
    """The pieces of a run that goes on where another had ended."""
    restated = orjson.dumps({"choices": [{"index": 0, "delta": {"content": said_before}, "finish_reason": None}]}).decode()
    rest = [Chunk(run, chunk.number + 1, chunk.data) for chunk in pieces(text, run=run)]
    return [Chunk(run, 1, restated, behind.id), *rest]


def test_a_run_that_goes_on_is_put_behind_and_one_that_begins_anew_is_not() -> None:
    begun = [chunk for chunk in pieces("First. ") if '"content"' in chunk.data]
    rest = going_on(behind=begun[-1], said_before="First. ", text="Second.")
    for chunks in (begun + rest, begun + rest[:2] + rest, rest):
        told = StreamedAnswer(is_usage_told=False)
        out = [chunk.data.encode() for chunk in chunks if told.take(chunk)]
        assert said(out + told.end(answer("First. Second."))) == ("First. Second.", ["stop"])
        assert told.is_complete
    # Pieces before it are missing: what is told of the answer at the end makes up for them.
    late = StreamedAnswer(is_usage_told=False)
    assert late.take(begun[0])
    gap = Chunk(2, 1, rest[0].data, f"{begun[0].run}-{begun[0].number + 1}")
    assert late.is_ahead(gap)
    assert not late.take(gap)


def test_where_a_run_goes_on_is_read_as_it_was_written() -> None:
    item_id = uuid7()
    chunk = Chunk(17, 1, '{"a": "+1-2 x"}', "16-3")
    assert read_message(write_message(item_id, chunk)) == (item_id, chunk)
