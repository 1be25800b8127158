"""What the steps of an item with tools leave for the next one, and what its caller gets in the end."""

import orjson

from apps.jobs.domain.step_teller import StepTeller
from apps.jobs.domain.tool_course import ToolCourse, add_usage, called_name, cut_result, load_course, read_answer, tool_calls

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "[1"}}


def answer(content: str | None, *calls: object, **values: object) -> dict[str, object]:
    message = {"role": "assistant", "content": content} | ({"tool_calls": list(calls)} if calls else {})
    usage = {"total_tokens": 5, "details": {"cached": 1}}
    return {"id": "a", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage} | values


def test_steps_are_kept_and_the_final_answer_holds_all_of_them() -> None:
    course = ToolCourse().gone_on(answer("Wait.", CALL), seq=3, last_id="7-2")
    assert load_course(course.dump()) == course
    assert (course.seq, course.steps, course.text, course.last_id) == (3, 1, "Wait.", "7-2")
    answered = course.answered([b"Found."])
    # Arguments that are no object would be refused by some providers.
    assert answered.messages[0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert answered.messages[1] == {"role": "tool", "tool_call_id": "c1", "content": "Found."}
    silent = answered.gone_on(answer(None, CALL), seq=4, last_id="")
    assert (silent.text, silent.last_id, len(silent.messages)) == ("Wait.", "7-2", 3)
    final = silent.answered([b"x"]).final(answer("Done.", id="b"), has_calls=True)
    assert (final["id"], final["choices"][0]["message"]["content"]) == ("a", "Wait.\n\nDone.")
    assert final["usage"] == {"total_tokens": 15, "details": {"cached": 3}}
    defied = silent.final(answer("No.", CALL), has_calls=False)
    assert (defied["choices"][0]["finish_reason"], "tool_calls" in defied["choices"][0]["message"]) == ("stop", False)


def test_whatever_a_provider_says_is_read() -> None:
    assert called_name({"type": "custom", "custom": {"name": "mine"}}) == "mine"
    assert called_name({"function": {"name": "a\0b"}}) == called_name({"type": 5}) == "unknown"
    assert tool_calls({"choices": [{"message": {"tool_calls": ["x", CALL]}}]}) == [CALL]
    assert [tool_calls(wrong) for wrong in (None, {}, {"choices": []}, {"choices": [{"message": {"tool_calls": 5}}]})] == [[]] * 4
    assert [read_answer(wrong) for wrong in (b"", b"[]", b'{"choices": []}', b'{"choices": [{"message": 1}]}')] == [None] * 4
    strange = ToolCourse().gone_on(answer("", {"function": {"name": "look", "arguments": 5}, "id": 7}), seq=0, last_id="")
    assert strange.calls == ({"id": "call_0_0", "type": "function", "function": {"name": "look", "arguments": ""}},)
    assert add_usage({"a": True, "b": "x"}, {"a": 2, "b": 3}) == {"a": 2, "b": 3}
    assert cut_result("äää".encode(), 3).decode().startswith("ä\n[Cut here: it has 6 bytes, of which 2")


class Told:
    """Takes pieces."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.last_id = ""

    def __call__(self, data: bytes, *, behind: str = "") -> None:
        self.pieces.append((data.decode(), behind))


def test_words_go_out_live_and_calls_never() -> None:
    told = Told()
    teller = StepTeller(told, said="Wait.", head={"id": "a"}, behind="7-2")
    deltas = [{"role": "assistant", "content": ""}, {"content": "Do"}, {"content": "ne."}, {"tool_calls": [CALL]}, {}]
    for delta in deltas:
        teller(orjson.dumps({"id": "b", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
    teller(orjson.dumps({"id": "b", "choices": [], "usage": {}}))
    assert [behind for _, behind in told.pieces] == ["7-2", "", ""]
    contents = [orjson.loads(data)["choices"][0]["delta"]["content"] for data, _ in told.pieces]
    assert contents == ["Wait.", "\n\nDo", "ne."]
    assert {orjson.loads(data)["id"] for data, _ in told.pieces} == {"a"}
    final = {
        "id": "a",
        "choices": [{"index": 0, "message": {"content": "Wait.\n\nDone."}, "finish_reason": "stop"}],
        "usage": {"total_tokens": 1},
    }
    teller.end(final, has_usage=True)
    *rest, last = [data for data, _ in told.pieces[3:]]
    assert [orjson.loads(data)["choices"][0]["finish_reason"] for data in rest[:1]] == ["stop"]
    assert (orjson.loads(rest[-1])["usage"], last) == ({"total_tokens": 1}, "")
    other = Told()
    StepTeller(other, said="Else.", head={}).end(final, has_usage=False)
    assert other.pieces == []
