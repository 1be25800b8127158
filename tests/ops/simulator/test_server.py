"""The simulated provider answers in OpenAI's shapes, misbehaves as told, and remembers every call."""

import asyncio
import base64
import http.client
import io
import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import mul
from random import Random
from typing import Any

import aiohttp
import openai
import pytest
from django.core.management import CommandError, call_command

from apps.lib.ports import free_port
from apps.ops.domain.behaviour import Behaviour, read_behaviour
from apps.ops.simulator.server import serve
from apps.ops.simulator.simulator import Simulator as Server
from apps.ops.simulator.tally import hash_of
from tests.simulated import ROOT, Simulator


def ask(simulator: Simulator, prompt: str = "hello", *, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None) -> Any:
    """(status, headers, body as JSON) of one call."""
    connection = http.client.HTTPConnection(simulator.root.removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", path, json.dumps({"model": "m", "messages": [prompt]}), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture
def client(simulator: Simulator) -> openai.OpenAI:
    return openai.OpenAI(base_url=simulator.base_url, api_key="none", max_retries=0, timeout=60)


def test_the_official_client_reads_every_kind_of_answer_and_its_usage(client: openai.OpenAI) -> None:
    with client:
        chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "[[sim tokens=40]] hello"}])
        response = client.responses.create(model="m", input="hello")
        completion = client.completions.create(model="m", prompt="hello")
        assert [model.id for model in client.models.list()] == ["simulated"]
    assert chat.choices[0].message.content
    assert chat.usage
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens, chat.usage.total_tokens) == (20, 40, 60)
    assert response.output_text == chat.choices[0].message.content
    assert response.usage
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 30)
    assert completion.choices[0].text
    assert completion.usage
    assert completion.usage.completion_tokens == 30


@pytest.mark.parametrize(("given", "count"), [("hello", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2)])
def test_each_input_has_its_vector(client: openai.OpenAI, given: Any, count: int) -> None:
    with client:
        plain = client.embeddings.create(model="m", input=given, encoding_format="float")
        packed = client.embeddings.with_raw_response.create(model="m", input=given, encoding_format="base64")
    assert [entry.index for entry in plain.data] == list(range(count))
    assert plain.usage.prompt_tokens == 20 * count
    vectors = [struct.unpack("<256f", base64.b64decode(entry["embedding"])) for entry in json.loads(packed.content)["data"]]
    assert vectors == [pytest.approx(entry.embedding) for entry in plain.data]


def test_vectors_of_texts_with_words_in_common_are_near(client: openai.OpenAI) -> None:
    with client:
        said = client.embeddings.create(model="m", input=["Money is paid back", "is money paid back?", "quite unlike"], dimensions=512)
    one, same, other = (entry.embedding for entry in said.data)
    assert [len(one), sum(map(mul, one, same)) > 0.99, abs(sum(map(mul, one, other))) < 0.5] == [512, True, True]


def test_a_script_fails_as_often_as_it_says(simulator: Simulator) -> None:
    assert [ask(simulator, "[[sim status=500 times=2]]")[0] for _ in range(4)] == [500, 500, 200, 200]


def test_a_429_says_how_long_to_wait(simulator: Simulator) -> None:
    status, headers, body = ask(simulator, "[[sim status=429 retry_after=3]]")
    assert (status, headers["Retry-After"], headers["x-ratelimit-remaining-requests"]) == (429, "3", "0")
    assert body["error"]["code"] == "rate_limit_exceeded"


def test_a_script_that_cannot_be_read_is_refused_with_the_word(simulator: Simulator) -> None:
    status, _, body = ask(simulator, "[[sim fly]]")
    assert status == 400
    assert "'fly'" in body["error"]["message"]
    assert simulator.calls()["total"] == 0


def test_a_cut_answer_ends_before_its_length(simulator: Simulator) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(simulator, "[[sim cut]]")


def test_a_malformed_answer_is_no_json(simulator: Simulator) -> None:
    with pytest.raises(json.JSONDecodeError):
        ask(simulator, "[[sim malformed]]")


@pytest.mark.parametrize("path", ["/v1/nothing", "/sim/nothing", "/sim/calls", "/v1/models"])
def test_there_is_nothing_else(simulator: Simulator, path: str) -> None:
    status, _, body = ask(simulator, path=path)
    assert status == 404
    assert path in body["error"]["message"]


def test_calls_are_counted_by_prompt_and_by_request_id(simulator: Simulator) -> None:
    for prompt, request_id in [("a", "1"), ("a", "2"), ("a", "2"), ("b", "3"), ("c", "")]:
        ask(simulator, prompt, headers={"X-Client-Request-Id": request_id} if request_id else None)
    seen = simulator.calls()
    assert (seen["total"], seen["distinct"], seen["repeated"], seen["most_for_one"]) == (5, 3, 1, 3)
    assert (seen["request_ids"], seen["repeated_request_ids"]) == (3, 1)
    assert sorted(seen["by_prompt"].values()) == [1, 1, 3]
    assert list(simulator.calls(top=1)["by_prompt"].values()) == [3]


def test_reset_forgets(simulator: Simulator) -> None:
    ask(simulator)
    simulator.reset()
    assert (simulator.calls()["total"], simulator.stats()["by_status"]) == (0, {})


async def test_what_is_in_the_air_is_counted_until_its_caller_hangs_up(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        hanging = [
            asyncio.ensure_future(session.post(f"{simulator.base_url}/chat/completions", json=f"[[sim hang]] {n}")) for n in range(3)
        ]
        await _until(simulator, in_flight=3)
        simulator.reset()
        assert simulator.stats()["most_in_flight"] == 3
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await _until(simulator, in_flight=0)
    stats = simulator.stats()
    assert stats["by_status"] == {"0": 3}
    assert 0 < stats["in_flight_seconds"] <= 3 * stats["elapsed_seconds"]


async def _until(simulator: Simulator, *, in_flight: int) -> None:
    async with asyncio.timeout(120):
        while (await asyncio.to_thread(simulator.stats))["in_flight"] != in_flight:
            pass


async def test_a_large_request_in_many_pieces_is_one_call(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(f"{simulator.base_url}/responses", data=io.BytesIO(b"x" * 5_000_000)) as answer:
                assert answer.status == 200
    assert simulator.calls()["by_prompt"].popitem()[1] == 2


async def test_a_request_without_a_length_is_refused(simulator: Simulator) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    async with aiohttp.ClientSession() as session, session.post(f"{simulator.base_url}/responses", data=pieces()) as answer:
        assert answer.status == 411


@asynccontextmanager
async def served(failures: str) -> AsyncIterator[str]:
    """A simulator in this loop, with shares of failures; its address."""
    port, listening = free_port(), asyncio.Event()
    simulator = Server(read_behaviour({"fail": failures}, Behaviour(latency=float), Random(1)), chance=Random(1))
    task = asyncio.create_task(serve(simulator, port=port, listening=listening.set))
    await listening.wait()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_failures_come_in_their_shares() -> None:
    statuses: list[int] = []
    async with served("429:0.2,500:0.1") as base_url, aiohttp.ClientSession() as session:
        for number in range(1000):
            async with session.post(f"{base_url}/chat/completions", data=str(number)) as answer:
                statuses.append(answer.status)
                assert answer.headers.get("Retry-After") == ("1" if answer.status == 429 else None)
    assert [statuses.count(status) / 1000 for status in (200, 429, 500)] == pytest.approx([0.7, 0.2, 0.1], abs=0.05)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_that_it_listens_and_ends_when_told(signal_number: signal.Signals) -> None:
    port = free_port()
    command = [sys.executable, "manage.py", "simulate_provider", "--port", str(port), "--latency", "uniform:1:2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == f"The simulated provider listens on http://127.0.0.1:{port}/v1\n"
        process.send_signal(signal_number)
        assert (process.wait(120), process.stdout.read(), process.stderr.read()) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"latency": "slow"}, "is no latency"), ({"fail": "everything"}, "is no share"), ({"port": 1 << 20}, "ports are 1 to 65535")],
)
def test_the_command_refuses_what_it_cannot_do(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("simulate_provider", **{"port": free_port()} | options)


def test_the_command_says_so_when_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandError, match=r"can't be had: .*in use"):
        call_command("simulate_provider", port=taken.getsockname()[1])


def test_good_answers_are_remembered_by_the_id_of_their_request(simulator: Simulator) -> None:
    for prompt, run in (("one", "A"), ("one", "a"), ("[[sim status=500]] two", "b"), ("three", "")):
        ask(simulator, prompt, headers={"X-Client-Request-Id": run} if run else {})
    assert simulator.answers() == {hash_of(b"a").hex(): 2}


def test_varied_answers_follow_what_was_asked(client: openai.OpenAI) -> None:
    def say(prompt: str) -> str | None:
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}]).choices[0].message.content

    with client:
        one, again, other = say("[[sim varied]] a"), say("[[sim varied]] a"), say("[[sim varied]] b")
    assert one == again != other
