"""Turns and summaries, step by step, without anybody who answers: what is written, told, closed and asked again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
import pytest
from django.db import transaction

from apps.conversations.actions import change_conversation, open_turn
from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.domain.state import read_state, turn_hash
from apps.conversations.domain.turns import TurnTakenError
from apps.conversations.models import Conversation, Summary, Turn, TurnState
from apps.jobs.actions import fork_at, summarise_conversation, sweep
from apps.jobs.actions.close_turns import close_summaries, close_turns
from apps.jobs.actions.find_tools import find_tools
from apps.jobs.actions.prepare_turn import Busy, TurnAsk, find_sent, prepare_turn
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_request import Caller, CallRefusedError, CallRequest, read_call
from apps.jobs.domain.tool_wish import stored_tools
from apps.jobs.domain.turn_request import TurnRequest
from apps.jobs.domain.turn_texts import FROM_MEMORY
from apps.jobs.models import Item, Job
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from tests.factories.accounts import make_workspace
from tests.factories.conversations import make_conversation, make_profile, make_summary, make_turn
from tests.factories.jobs import make_route

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _model() -> None:
    make_route("small")


def ask(conversation: Conversation, text: str = "Hello", *, state: Any = None, policy: OnConflict | None = None) -> TurnAsk:
    request = TurnRequest(text, None, system="", rest={}, read=read_state(state) if state is not None else None, on_conflict=policy)
    as_call = partial(read_call, endpoint="/v1/chat/completions", headers={})
    return TurnAsk(Caller(conversation.workspace_id, None), conversation.id, request, as_call)


def prepared(conversation: Conversation, **values: Any) -> CallRequest:
    call = prepare_turn(ask(conversation, **values))
    assert isinstance(call, CallRequest)
    return call


def begin(conversation: Conversation, **values: Any) -> Turn:
    call, item_id = prepared(conversation, **values), uuid7()
    submit_call(item_id=item_id, reply_to="", caller=Caller(conversation.workspace_id, None), request=call, repeats=None, now=NOW)
    return Turn.objects.get(item_id=item_id)


def end(item: Item, message: dict[str, Any] | None, **values: Any) -> None:
    """As settle leaves it."""
    answer = make_body(item.workspace_id, orjson.dumps({"choices": [{"message": message}]}) if message is not None else b"no JSON")
    store_bodies([answer])
    state = {"state": "done", "answer_body_id": answer.id, "cost_usd": Decimal("0.01")} | values
    Item.objects.filter(id=item.id).update(**state, ended_at=NOW)


def messages(call: CallRequest) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = orjson.loads(call.body)["messages"]
    return told


def test_a_turn_is_closed_once_and_makes_the_next_version() -> None:
    conversation = make_conversation(make_workspace())
    turn = begin(conversation)
    assert close_turns() == 0
    end(Item.objects.get(id=turn.item_id), {"content": "Hi", "tool_calls": None})
    assert (close_turns(), close_turns()) == (1, 0)
    turn.refresh_from_db()
    conversation.refresh_from_db()
    assert (turn.state, turn.answer, turn.cost_usd, conversation.version) == ("answered", "Hi", Decimal("0.01"), 1)
    said = {"input": "Hello", "messages": None, "answer": "Hi", "tool_calls": None}
    assert bytes(conversation.tip_hash) == bytes(turn.hash or b"") == turn_hash(bytes(turn.previous_hash), **said)


def test_more_than_the_tokenizer_takes_at_once_is_refused_and_answered_in_words() -> None:
    conversation = make_conversation(make_workspace())
    with pytest.raises(CallRefusedError) as refused:
        prepare_turn(ask(conversation, "\u00e9" * 250_000))
    assert refused.value.code == "context_length_exceeded"
    turn = begin(conversation)
    end(Item.objects.get(id=turn.item_id), {"content": "\u00e9" * 250_000})
    assert close_turns() == 1
    turn.refresh_from_db()
    assert (turn.state, turn.answer_tokens) == ("answered", 250_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda item: end(item, None), "answer_unreadable"),
        (lambda item: end(item, {"content": ["x"]}), "answer_unreadable"),
        (lambda item: end(item, {"content": "", "tool_calls": [{"type": "function"}]}), "answer_unreadable"),
        (lambda item: end(item, {"content": "", "tool_calls": [{"id": "call_1", "function": {"name": "a\0"}}]}), "answer_not_storable"),
        (lambda item: end(item, {}, state="dead", error_code="provider_failed"), "provider_failed"),
        (lambda item: end(item, {}, state="cancelled", answer_body_id=None), "cancelled"),
        (lambda item: item.delete(), "item_gone"),
    ],
)
def test_without_an_answer_the_conversation_is_as_it_was(change: Callable[[Item], Any], reason: str) -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    before = (conversation.version, bytes(conversation.tip_hash))
    turn = begin(conversation)
    change(Item.objects.get(id=turn.item_id))
    assert sweep()["turns"] == 1
    turn.refresh_from_db()
    conversation.refresh_from_db()
    assert (turn.state, turn.error_code) == ("failed", reason)
    assert (conversation.version, bytes(conversation.tip_hash)) == before
    assert begin(conversation).number == turn.number


def test_of_two_that_were_prepared_in_one_state_one_is_let_in() -> None:
    conversation = make_conversation(make_workspace())
    first, second = prepared(conversation), prepared(conversation, text="Me too")
    send = partial(submit_call, reply_to="", caller=Caller(conversation.workspace_id, None), repeats=None, now=NOW)
    send(item_id=uuid7(), request=first)
    with pytest.raises(TurnTakenError), transaction.atomic():
        send(item_id=uuid7(), request=second)
    assert (Turn.objects.count(), Item.objects.count(), Job.objects.count()) == (1, 1, 1)
    assert isinstance(prepare_turn(ask(conversation)), Busy)
    # Nor once it has been answered.
    end(Item.objects.get(), {"content": "Hi"})
    close_turns()
    assert second.turn is not None
    with pytest.raises(TurnTakenError), transaction.atomic():
        open_turn(second.turn, item_id=uuid7(), now=NOW)


def test_a_late_turn_is_moved_forked_or_rejected_as_its_policy_says() -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    read = f"0.{'0' * 16}.0"
    with pytest.raises(ApiError) as rejected:
        prepared(conversation, state=0, policy=OnConflict.REJECT)
    assert (rejected.value.status, rejected.value.code, rejected.value.is_final) == (409, "conversation_conflict", True)
    assert f"{conversation.version}.{bytes(conversation.tip_hash).hex()[:16]}.0" in rejected.value.message
    moved = prepared(conversation, state=0).turn
    assert moved is not None
    assert (moved.state.version, moved.resolution) == (1, "moved")
    forked = prepared(conversation, state=0, policy=OnConflict.FORK).turn
    assert forked is not None
    assert (forked.state.version, forked.resolution, forked.fork_to is None) == (0, "forked", False)
    # A state that never was can't be forked from.
    with pytest.raises(ApiError):
        prepared(conversation, state=read, policy=OnConflict.FORK)
    with pytest.raises(ApiError) as unknown:
        prepared(conversation, state=9, policy=OnConflict.FORK)
    assert unknown.value.status == 400
    # What was read and is there still is no conflict, whatever the policy.
    assert prepared(conversation, state=1, policy=OnConflict.REJECT).turn is not None


def test_what_is_sent_again_is_the_turn_that_its_sender_can_not_have_heard() -> None:
    conversation = make_conversation(make_workspace())
    fresh, old = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    heard = make_turn(conversation, input="Yes", ended_at=old)
    assert find_sent(ask(conversation, "Yes")) is None
    # Who says the same again and names what he had read means the turn behind that.
    Turn.objects.update(read_version=0, ended_at=fresh)
    assert find_sent(ask(conversation, "Yes", state=0)) == heard.item_id
    assert find_sent(ask(conversation, "Yes", state=1)) is None
    assert find_sent(ask(conversation, "Yes")) is None
    # Moved, it is still his.
    make_turn(conversation, input="No", ended_at=fresh)
    assert find_sent(ask(conversation, "Yes", state=0)) == heard.item_id
    said = make_turn(conversation, input="Yes", ended_at=fresh)
    assert find_sent(ask(conversation, "Yes")) == said.item_id
    assert find_sent(ask(conversation, "No")) is None


def test_what_was_forked_and_is_sent_again_is_found_in_its_fork() -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation, input="Yes", ended_at=NOW + timedelta(hours=1))
    turn = begin(conversation, text="Yes", state=0, policy=OnConflict.FORK)
    assert turn.conversation_id != conversation.id
    assert find_sent(ask(conversation, "Yes", state=0, policy=OnConflict.FORK)) == turn.item_id
    assert find_sent(ask(conversation, "Yes", state=0)) is None
    assert find_sent(ask(conversation, "No", state=0, policy=OnConflict.FORK)) is None


def test_a_fork_has_the_turns_and_the_summary_up_to_its_version() -> None:
    conversation = make_conversation(make_workspace(), instructions="Be brief.")
    turns = [make_turn(conversation) for _ in range(3)]
    Summary.objects.create(conversation=conversation, upto=1, upto_hash=turns[0].hash, item_id=uuid7(), state="answered", text="One.")
    Summary.objects.create(conversation=conversation, upto=3, upto_hash=turns[2].hash, item_id=uuid7(), state="answered", text="Three.")
    turn = begin(conversation, state=2, policy=OnConflict.FORK)
    fork = turn.conversation
    assert (fork.forked_from_id, fork.forked_at_version, fork.version, fork.instructions) == (conversation.id, 2, 2, "Be brief.")
    assert bytes(fork.tip_hash) == bytes(turns[1].hash or b"") == bytes(turn.previous_hash)
    assert list(fork.turns.order_by("number").values_list("number", "copied_from_id")) == [(1, turns[0].id), (2, turns[1].id), (3, None)]
    own = {"id", "conversation_id", "copied_from_id"}
    copies = [{name: value for name, value in row.items() if name not in own} for row in fork.turns.order_by("number").values()[:2]]
    assert copies == [
        {name: value for name, value in row.items() if name not in own} for row in conversation.turns.order_by("number").values()[:2]
    ]
    assert [summary.text for summary in fork.summaries.all()] == ["One."]
    conversation.refresh_from_db()
    assert (conversation.version, conversation.turns.count()) == (3, 3)


def test_the_model_is_told_memory_and_what_fits_of_the_history() -> None:
    workspace = make_workspace()
    make_profile(workspace, "ada@example.org")
    conversation = make_conversation(workspace, end_user="ada@example.org", instructions="Be brief.", window_tokens=1400)
    for number in range(30):
        make_turn(conversation, input=f"Question {number} " + "word " * 30, answer="Yes.", input_tokens=35, answer_tokens=3)
    call = prepared(conversation)
    told = messages(call)
    assert told[0] == {"role": "system", "content": f"Be brief.\n\n{FROM_MEMORY}"}
    assert "name: Ada" in told[-1]["content"]
    assert told[-2]["content"] == "Yes."
    assert 3 < len(told) < 60
    assert call.turn is not None
    assert (call.turn.state.memory_seq, call.end_user) == (1, "ada@example.org")
    assert call.turn.report is not None
    assert call.turn.report["sections"]["history"]["cut"]


@pytest.mark.parametrize(("end_user", "knows"), [("ada", True), ("bob", False), ("", False), ("ADA", False), ("ada ", False), ("%", False)])
def test_what_is_remembered_of_a_person_is_told_to_nobody_else(end_user: str, knows: bool) -> None:  # noqa: FBT001 -- a table
    """Whoever a turn says that they are: the conversation knows who speaks. Another workspace's person of that name is another one."""
    workspace = make_workspace()
    make_profile(workspace, "ada", secret="the word of ours")
    make_profile(make_workspace("theirs"), end_user or "nobody", secret="the word of theirs")
    make_profile(workspace, "carol", name="Carol")
    conversation = make_conversation(workspace, end_user=end_user)
    asked = ask(conversation)
    named = replace(asked, request=replace(asked.request, rest={"user": "carol", "safety_identifier": "carol"}))
    call = prepare_turn(named)
    assert isinstance(call, CallRequest)
    told = call.body.decode()
    assert ("the word of ours" in told, "the word of theirs" in told, "Carol" in told) == (knows, False, False)
    # Without a name of its own the conversation's tools are for whoever the caller says; nothing is told of them all the same.
    assert call.end_user == (end_user or "carol")


def test_a_fork_is_told_the_summary_of_the_turn_that_was_asked_in_its_state_first() -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    make_turn(conversation)
    before = make_summary(conversation, upto=1, text="One.")
    late = {"state": 2, "policy": OnConflict.FORK}
    make_turn(conversation, state="failed", number=3, summary_id=None)
    first = begin(conversation)
    assert first.summary_id == before.id
    make_summary(conversation, upto=2, text="Two.")
    while_it_is_answered = prepared(conversation, **late)
    end(Item.objects.get(), {"content": "Hi"})
    close_turns()
    by_hand = fork_at(Conversation.objects.get(), version=2, now=NOW)
    for call in (while_it_is_answered, prepared(conversation, **late), prepared(by_hand)):
        assert call.turn is not None
        assert call.turn.summary_id == before.id
        assert [message["content"] for message in messages(call)][1:3] == ["Question 2", "Answer 2"]
    # A state in which nobody has asked is told the newest.
    assert "Two." in messages(prepared(conversation))[-1]["content"]


def test_what_was_told_no_summary_is_told_none_in_its_fork() -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    begin(conversation)
    make_summary(conversation, upto=1, text="One.")
    call = prepared(conversation, policy=OnConflict.FORK)
    assert call.turn is not None
    assert call.turn.summary_id is None
    assert messages(call)[0]["content"] == "Question 1"


def long_conversation() -> Conversation:
    conversation = make_conversation(make_workspace(), window_tokens=1000)
    for number in range(1, 7):
        make_turn(conversation, input=f"Question {number}", input_tokens=90, answer_tokens=10)
    return conversation


def test_what_does_not_fit_is_summarised_once_and_told_in_its_place() -> None:
    conversation = long_conversation()
    assert summarise_conversation(conversation_id=conversation.id, now=NOW)
    assert not summarise_conversation(conversation_id=conversation.id, now=NOW)
    item = Item.objects.get()
    assert (item.job.kind, item.job.status, item.job.total, item.lane) == ("summary", "running", 1, "default")
    assert close_summaries() == 0
    end(item, {"content": "They spoke of four questions."})
    assert close_summaries(conversation_id=conversation.id) == 1
    summary = Summary.objects.get()
    assert (summary.upto, summary.state, summary.text) == (4, "answered", "They spoke of four questions.")
    assert bytes(summary.upto_hash) == bytes(conversation.turns.get(number=4).hash or b"")
    told = messages(prepared(conversation))
    assert [message["content"] for message in told[:-1]] == [FROM_MEMORY, "Question 5", "Answer 5", "Question 6", "Answer 6"]
    assert "Earlier in this conversation: They spoke of four questions." in told[-1]["content"]
    assert not summarise_conversation(conversation_id=conversation.id, now=NOW)


def test_a_summary_that_failed_is_tried_again_after_a_while() -> None:
    conversation = long_conversation()
    assert summarise_conversation(conversation_id=conversation.id, now=NOW)
    end(Item.objects.get(), {}, state="dead", error_code="provider_failed")
    assert close_summaries() == 1
    assert not summarise_conversation(conversation_id=conversation.id, now=NOW)
    Summary.objects.update(ended_at=NOW - timedelta(minutes=11))
    assert summarise_conversation(conversation_id=conversation.id, now=NOW)
    assert sorted(Summary.objects.values_list("state", flat=True)) == [TurnState.FAILED, TurnState.OPEN]


def test_an_answer_with_a_character_that_no_text_takes_stands_in_nobodys_way() -> None:
    first, second = make_conversation(make_workspace()), make_conversation(make_workspace("other"))
    items = [Item.objects.get(id=begin(conversation).item_id) for conversation in (first, second)]
    end(items[0], {"content": "a\0b"})
    end(items[1], {"content": "Hi"})
    assert sweep()["turns"] == 2
    assert sorted(Turn.objects.values_list("answer", "state")) == [("Hi", "answered"), ("a\ufffdb", "answered")]


def test_a_conversation_that_is_changed_after_a_turn_was_composed_is_composed_anew() -> None:
    conversation = make_conversation(make_workspace())
    call = prepared(conversation)
    assert call.turn is not None
    change_conversation(conversation, instructions="Be brief.", now=NOW)
    with pytest.raises(TurnTakenError), transaction.atomic():
        open_turn(call.turn, item_id=uuid7(), now=NOW)


def test_results_of_tools_are_told_with_the_words_they_belong_to_and_count() -> None:
    conversation = make_conversation(make_workspace(), window_tokens=1000)
    for number in range(1, 4):
        make_turn(conversation, input=f"Question {number}", input_tokens=5, answer_tokens=5)
    calls = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    make_turn(conversation, input="Weather?", answer="", tool_calls=calls, input_tokens=200, query_key="k", snapshot_id="s")
    results = [{"role": "tool", "tool_call_id": "call_1", "content": "sunny " * 100}]
    sent = ask(conversation)
    call = prepare_turn(replace(sent, request=replace(sent.request, text="", results=results)))
    assert isinstance(call, CallRequest)
    assert call.turn is not None
    assert messages(call)[-3:] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        results[0],
    ]
    # What was found for the words is what it is answered from; nothing was looked for in this state.
    assert (call.turn.snapshot_id, call.turn.query_key) == ("s", "")
    assert call.turn.input_tokens > 100
    too_long = [{**results[0], "content": "sunny " * 2000}]
    with pytest.raises(CallRefusedError) as refused:
        prepare_turn(replace(sent, request=replace(sent.request, text="", results=too_long)))
    assert refused.value.code == "context_length_exceeded"


def test_much_memory_leaves_room_for_what_was_said() -> None:
    workspace = make_workspace()
    profile = make_profile(workspace, "ada@example.org")
    profile.memory = {f"thing-{number}": {"text": "word " * 300, "seq": number} for number in range(40)}
    profile.save()
    conversation = make_conversation(workspace, end_user="ada@example.org", window_tokens=4096)
    for number in range(5):
        make_turn(conversation, input=f"Question {number}", input_tokens=5, answer_tokens=5)
    call = prepared(conversation)
    assert call.turn is not None
    assert call.turn.report is not None
    sections = call.turn.report["sections"]
    assert sections["history"]["kept"] == 10
    assert 0 < sections["memory"]["tokens"] <= 1024


def test_tools_know_the_state_that_they_are_called_in() -> None:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    sent = ask(conversation)
    tools = [{"type": "platform", "platform": {"name": "remember"}}]
    call = prepare_turn(replace(sent, request=replace(sent.request, rest={"tools": tools})))
    assert isinstance(call, CallRequest)
    wish = stored_tools(call.body, find_tools)
    assert wish is not None
    assert call.turn is not None
    pin = wish.uses["remember"].pin
    assert pin is not None
    assert (pin.state, pin.state_version) == (call.turn.state.token, 1)
