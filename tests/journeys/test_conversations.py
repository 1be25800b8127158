"""Conversations with the official SDK and over /api: real processes, a provider over HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import pytest
from openai import OpenAI

from apps.conversations.models import Conversation, Turn
from apps.jobs.models import Item
from apps.knowledge.models import Pin
from apps.lib.ids import uuid7
from apps.spend.models import Charge
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running_parts(tmp_path, "web", "exec-interactive") as found:
        make_callable(base_url=found.provider_url)
        yield found


class Api:
    """`/api/conversations` with one key."""

    def __init__(self, live: Live, secret: str) -> None:
        self.url, self.headers = f"{live.url}/api/conversations", {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def send(self, path: str = "", body: Any = None, method: str = "", **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data=data, headers=self.headers | headers, method=method or ("POST" if data else "GET"))
        with urlopen(request, timeout=120) as answer:
            content = answer.read()
            return json.loads(content) if content else None

    def refused(self, path: str, body: Any, method: str = "") -> tuple[int, dict[str, Any]]:
        with pytest.raises(HTTPError) as error:
            self.send(path, body, method)
        return error.value.code, json.loads(error.value.read())


def told_to_model(turn: Turn) -> list[dict[str, Any]]:
    item = Item.objects.get(id=turn.item_id)
    body_id = bytes(item.request_body_id)
    messages: list[dict[str, Any]] = json.loads(read_bodies([body_id])[body_id])["messages"]
    return messages


def test_the_sdk_talks_and_the_platform_keeps_what_was_said(live: Live) -> None:
    secret = make_secret()
    api = Api(live, secret)
    made = api.send(body={"model": "small", "instructions": "You are a clerk.", "end_user": "ada@example.org"})
    extra = {"conversation_id": made["id"]}
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:

        def say(text: str, **values: Any) -> Any:
            return client.chat.completions.with_raw_response.create(
                model="small", messages=[{"role": "user", "content": text}], extra_body=extra | values.pop("extra", {}), **values
            )

        first = say("My name is Ada.")
        assert (first.headers["x-conversation-id"], first.headers["x-conversation-version"]) == (made["id"], "1")
        answer = first.parse().choices[0].message.content
        with say("What is my name?", stream=True, extra={"conversation_state": 1}).parse() as stream:
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        turns = api.send(f"/{made['id']}/history")["data"]
        assert [(turn["number"], turn["status"], turn["input"], turn["answer"]) for turn in turns] == [
            (2, "answered", "What is my name?", streamed),
            (1, "answered", "My name is Ada.", answer),
        ]
        second = Turn.objects.get(number=2)
        assert told_to_model(second) == [
            {"role": "system", "content": "You are a clerk."},
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "What is my name?"},
        ]
        assert api.send(f"/{made['id']}")["state"] == turns[0]["state"]
        # Which state it was asked in is told with the answer, and stands in the record of its item.
        assert first.headers["x-conversation-state"] == turns[1]["asked_in"] == made["state"]
        with urlopen(Request(f"{live.url}/api/items/{turns[0]['item']}", headers=api.headers), timeout=120) as told:
            record = json.loads(told.read())
        assert record["turn"] == {"conversation": made["id"], "number": 2, "asked_in": turns[1]["state"], "snapshot_id": None}
        # What the SDK sends again by itself, when it has not heard of the first try, is not said twice.
        again = say("What is my name?", extra={"conversation_state": 1}, extra_headers={"X-Stainless-Retry-Count": "1"})
        assert (again.headers["x-item-id"], again.headers["x-conversation-version"]) == (turns[0]["item"], "2")
        assert again.parse().choices[0].message.content == streamed
        # What was read first is not what is there: rejected before anything is asked.
        with pytest.raises(openai.ConflictError) as conflict:
            say("Again.", extra={"conversation_state": turns[1]["state"], "on_conflict": "reject"})
        assert (conflict.value.code, conflict.value.param) == ("conversation_conflict", "conversation_state")
        with pytest.raises(openai.BadRequestError) as ahead:
            say("Again.", extra={"conversation_state": 99})
        assert ahead.value.param == "conversation_state"
        # Forked, it goes on from what was read.
        forked = say("And now?", extra={"conversation_state": turns[1]["state"], "on_conflict": "fork"})
        fork_id = forked.headers["x-conversation-id"]
        assert fork_id != made["id"]
        assert [message["content"] for message in told_to_model(Turn.objects.get(input="And now?"))][1:-1] == ["My name is Ada.", answer]
        assert [turn["number"] for turn in api.send(f"/{fork_id}/history")["data"]] == [2, 1]
        with pytest.raises(openai.BadRequestError) as wrong:
            client.chat.completions.create(
                model="small", messages=[{"role": "assistant", "content": "I said"}, {"role": "user", "content": "x"}], extra_body=extra
            )
        assert wrong.value.param == "messages"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "x"}], extra_body={"conversation_id": f"conv_{uuid7().hex}"}
            )
    assert (Charge.objects.count(), Conversation.objects.count()) == (3, 2)
    assert set(Item.objects.values_list("end_user", flat=True)) == {"ada@example.org"}


def test_turns_at_once_are_answered_one_after_another_and_none_is_lost(live: Live) -> None:
    secret = make_secret()
    api = Api(live, secret)
    path = f"/{api.send(body={'model': 'small'})['id']}/turns"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: api.send(path, {"input": f"Say {number}"}), range(8)))
    assert sorted(answer["number"] for answer in answers) == list(range(1, 9))
    assert {answer["resolution"] for answer in answers} >= {"waited"}
    turns = list(Turn.objects.order_by("number"))
    assert [bytes(turn.previous_hash) for turn in turns[1:]] == [bytes(turn.hash or b"") for turn in turns[:-1]]
    # Each was told all that had been said before it.
    assert [len(told_to_model(turn)) for turn in turns] == [2 * number - 1 for number in range(1, 9)]
    assert Charge.objects.count() == 8


def test_a_turn_is_answered_from_the_collection_and_cites_it(live: Live) -> None:
    secret = make_secret()
    api = Api(live, secret)
    collection = make_collection(make_workspace("acme"), name="rules")
    make_document("Money is paid back within 30 days of the purchase.", collection=collection)
    made = api.send(body={"model": "small", "collection": "rules"})
    said = api.send(f"/{made['id']}/turns", {"input": "[[sim say=Within%2030%20days%20%5B1%5D.]] When is money paid back?"})
    assert (said["answer"], [cited["number"] for cited in said["citations"]]) == ("Within 30 days [1].", [1])
    assert said["citations"][0]["text"].startswith("Money is paid back")
    assert Pin.objects.get().snapshot_id == said["snapshot"].removeprefix("snap_")
    # The first of two that begin in the same state decides what both would be answered from.
    make_document("Money is never paid back.", collection=collection, name="new.txt")
    fork = api.send(f"/{made['id']}/fork", {"version": 0})
    again = api.send(f"/{fork['id']}/turns", {"input": "[[sim say=Within%2030%20days%20%5B1%5D.]] When is money paid back?"})
    assert again["snapshot"] == said["snapshot"]


def test_streamed_over_the_api_it_ends_with_the_turn_and_a_repeated_one_is_asked_once(live: Live) -> None:
    secret = make_secret()
    api = Api(live, secret)
    made = api.send(body={"model": "small"})
    request = Request(
        f"{api.url}/{made['id']}/turns", data=json.dumps({"input": "Hello", "stream": True}).encode(), headers=api.headers, method="POST"
    )
    with urlopen(request, timeout=60) as answer:
        blocks = [block for block in answer.read().decode().split("\n\n") if block]
    turn = json.loads(blocks[-1].removeprefix("event: turn\ndata: "))
    chunks = [json.loads(block.split("data: ", 1)[1]) for block in blocks if "[DONE]" not in block and "event: turn" not in block]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == turn["answer"]
    key = {"Idempotency-Key": "once"}
    first = api.send(f"/{made['id']}/turns", {"input": "Once"}, **key)
    assert api.send(f"/{made['id']}/turns", {"input": "Once"}, **key) == first
    assert (first["number"], Turn.objects.count()) == (2, 2)
    # Streamed, it is told again as a stream.
    key = {"Idempotency-Key": "streamed"}
    request = Request(f"{api.url}/{made['id']}/turns", data=request.data, headers=api.headers | key, method="POST")
    ends = []
    for _ in range(2):
        with urlopen(request, timeout=60) as answer:
            told = {name: text for name, text in answer.headers.items() if name.startswith("X-Conversation-")}
            ends.append((len(told), told, answer.read().decode().split("\n\n")[-2]))
    # Which turn it is, and in which state it was asked, is told again with it.
    assert (ends[0], ends[0][0]) == (ends[1], 3)
    assert Turn.objects.count() == 3


def test_what_failed_leaves_the_conversation_as_it_was(live: Live) -> None:
    secret = make_secret()
    api = Api(live, secret)
    made = api.send(body={"model": "small"})
    code, problem = api.refused(f"/{made['id']}/turns", {"input": "[[sim status=400]] No."})
    assert (code, api.send(f"/{made['id']}")["version"]) == (400, 0), problem
    assert api.send(f"/{made['id']}/turns", {"input": "Yes."})["number"] == 1
    assert [turn["status"] for turn in api.send(f"/{made['id']}/history")["data"]] == ["answered", "failed"]
    assert api.refused(f"/{made['id']}/turns", {"inputs": "x"})[1]["code"] == "unknown_parameter"
    for path, body, param in (("turns", {"input": "x", "state": "7"}, "state"), ("fork", {"version": 7}, "version")):
        status, problem = api.refused(f"/{made['id']}/{path}", body)
        assert (status, problem["param"]) == (400, param)
    changed = api.send(f"/{made['id']}", {"title": "Refunds", "window_tokens": 1000}, method="PATCH")
    assert (changed["title"], changed["window_tokens"]) == ("Refunds", 1000)
    api.send(f"/{made['id']}", method="DELETE")
    assert (Conversation.objects.count(), Turn.objects.count(), Charge.objects.count()) == (0, 0, 1)


def test_the_callers_own_tools_pass_through_and_their_results_come_back(live: Live) -> None:
    """The answer asks for a tool; the next turn brings its result, and the model is told both word for word."""
    secret = make_secret()
    api = Api(live, secret)
    made = api.send(body={"model": "small"})
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    question = "[[sim tool=weather rounds=1]] What is the weather?"
    asked = api.send(f"/{made['id']}/turns", {"input": question, "tools": tools})
    (call,) = asked["tool_calls"]
    assert (asked["answer"], call["function"]["name"], asked["status"]) == ("", "weather", "answered")
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
        extra = {"conversation_id": made["id"]}
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(
                model="small", messages=[{"role": "tool", "tool_call_id": "call_2", "content": "sunny"}], extra_body=extra
            )
        answer = client.chat.completions.create(
            model="small", messages=[{"role": "tool", "tool_call_id": call["id"], "content": "sunny"}], extra_body=extra
        )
    assert answer.choices[0].message.content
    assert told_to_model(Turn.objects.get(number=2)) == [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
