"""What the simulated provider witnesses of its own deliveries: by day and model, and by request."""

import http.client
import json
from datetime import date, datetime
from typing import Any

import pytest

from apps.ops.simulator.tally import hash_of
from tests.simulated import Simulator


def ask(simulator: Simulator, prompt: str, *, path: str = "/v1/chat/completions", model: str = "m", request_id: str = "") -> None:
    connection = http.client.HTTPConnection(simulator.root.removeprefix("http://"), timeout=60)
    body: dict[str, Any] = {"model": model, "input": ["a", "b"]} if path.endswith("embeddings") else {"model": model, "messages": [prompt]}
    try:
        connection.request("POST", path, json.dumps(body), {"X-Client-Request-Id": request_id} if request_id else {})
        connection.getresponse().read()
    except (http.client.IncompleteRead, ConnectionError):
        pass
    finally:
        connection.close()


def test_whole_answers_are_counted_by_model_whatever_they_say_of_their_usage(simulator: Simulator) -> None:
    ask(simulator, "hello")
    ask(simulator, "[[sim tokens=7 usage=zero]]")
    ask(simulator, "", path="/v1/embeddings", model="e")
    rows = simulator.usage()
    assert [date.fromisoformat(row.pop("day")) for row in rows]
    assert rows == [
        {"model": "e", "requests": 1, "input_tokens": 40, "output_tokens": 0},
        {"model": "m", "requests": 2, "input_tokens": 40, "output_tokens": 37},
    ]


@pytest.mark.parametrize("script", ["status=500", "status=429", "cut", "malformed", "empty", "reset", "reset_body", "gzip_bomb"])
def test_what_no_caller_can_use_is_not_delivered(simulator: Simulator, script: str) -> None:
    ask(simulator, f"[[sim {script}]]")
    assert simulator.usage() == []


def test_each_request_has_what_was_delivered_to_it(simulator: Simulator) -> None:
    for _ in range(2):
        ask(simulator, "hello", request_id="run-1")
    ask(simulator, "[[sim tokens=7]]", request_id="run-2")
    found = {hash_of(name.encode()).hex(): tokens for name, tokens in (("run-1", [2, 40, 60]), ("run-2", [1, 20, 7]))}
    assert simulator.usage_by_request() == found
    simulator.reset()
    assert (simulator.usage(), simulator.usage_by_request()) == ([], {})


def test_each_call_has_its_day_and_model_and_what_names_no_request_stands_apart(simulator: Simulator) -> None:
    for model in ("m", "n"):
        ask(simulator, "hello", model=model, request_id="run-1")
    ask(simulator, "[[sim tokens=7]]")
    found = simulator.usage_by_call()
    (calls,) = found["calls"].values()
    assert list(found["calls"]) == [hash_of(b"run-1").hex()]
    assert [call[1:] for call in calls] == [["m", 20, 30], ["n", 20, 30]]
    assert [row[1:] for row in found["others"]] == [["m", 1, 20, 7]]
    assert {date.fromisoformat(row[0]) >= datetime.fromisoformat(found["since"]).date() for row in [*calls, *found["others"]]} == {True}
