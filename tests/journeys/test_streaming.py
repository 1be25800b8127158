"""Streamed answers with the official SDK: real processes, a provider that streams over HTTP."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import openai
import psutil
import pytest
from openai import OpenAI

from apps.jobs.models import ITEM_PREFIX, Item
from apps.lib.ids import parse_public_id
from apps.spend.models import Charge
from apps.traces.queries import read_bodies
from tests.chaos.workers import until
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running_parts(tmp_path, "web", "exec-interactive") as found:
        make_callable(base_url=found.provider_url)
        yield found


def ask(text: str) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": text}], "stream": True}


def stored_text(item: Item) -> str:
    assert item.answer_body_id is not None
    body_id = bytes(item.answer_body_id)
    text: str = json.loads(read_bodies([body_id])[body_id])["choices"][0]["message"]["content"]
    return text


def events_of(live: Live, secret: str, item_id: str, after: str = "") -> list[dict[str, str]]:
    """Each event of an item as its fields."""
    headers = {"Authorization": f"Bearer {secret}"} | ({"Last-Event-ID": after} if after else {})
    with urlopen(Request(f"{live.url}/api/items/{item_id}/events", headers=headers), timeout=120) as answer:
        text = answer.read().decode()
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def text_of(events: list[dict[str, str]]) -> str:
    chunks = [json.loads(event["data"]) for event in events if event["data"] != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def test_an_answer_comes_in_pieces_and_is_stored_charged_and_read_again(live: Live) -> None:
    secret = make_secret()
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**ask("[[sim pieces=6 gap=0.01]]"), stream_options={"include_usage": True})
        chunks = list(raw.parse())
        item_id = raw.headers["x-item-id"]
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, item_id))
        assert (len(texts), "".join(texts)) == (6, stored_text(item))
        assert chunks[-1].usage is not None
        assert (chunks[-1].usage.completion_tokens, item.output_tokens) == (30, 30)
        assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
        assert Charge.objects.count() == 1

        told = events_of(live, secret, item_id)
        assert (told[-1]["data"], text_of(told)) == ("[DONE]", "".join(texts))
        assert text_of(events_of(live, secret, item_id, after=told[3]["id"])) == "".join(texts[3:])

        with client.chat.completions.create(**ask("without its usage")) as plain:
            assert all(chunk.usage is None for chunk in plain)
        # What a policy judges is told in one piece, once it has been judged.
        with client.chat.completions.create(**ask("hi"), extra_headers={"X-Cache": "on"}) as first:
            said = "".join(chunk.choices[0].delta.content or "" for chunk in first)
        with client.chat.completions.create(**ask("hi"), extra_headers={"X-Cache": "on"}) as again:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in again) == said
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**ask("[[sim status=400]]"))


def test_a_stream_that_is_cut_is_no_answer(live: Live) -> None:
    """Half an answer is told and then an error; the second try brings the whole one, which is what is stored."""
    secret = make_secret()
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**ask("[[sim cut times=1 pieces=6 gap=0.01]]"))
        texts = [chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices]
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, raw.headers["x-item-id"]))
        # The provider says the same again, so the rest is put behind what had come.
        assert "".join(texts) == stored_text(item)
        assert item.ambiguous_tries == 1
        with pytest.raises(openai.APIError) as broken:
            list(client.chat.completions.create(**ask("[[sim cut pieces=6 gap=0.01]]")))
        assert broken.value.code == "cut"
    assert sorted(Item.objects.values_list("state", flat=True)) == ["dead", "done"]
    assert Charge.objects.count() == 1


def test_who_leaves_does_not_lose_the_answer(live: Live) -> None:
    secret = make_secret()
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**ask("[[sim pieces=20 gap=0.05]]"))
        stream = raw.parse()
        next(iter(stream))
        stream.close()
    told = events_of(live, secret, raw.headers["x-item-id"])
    item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, raw.headers["x-item-id"]))
    assert text_of(told) == stored_text(item)
    assert Charge.objects.count() == 1


def test_a_web_process_that_is_to_stop_lets_streams_finish(live: Live) -> None:
    with OpenAI(base_url=f"{live.url}/v1", api_key=make_secret(), max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**ask("[[sim pieces=20 gap=0.1]]"))
        stream = iter(raw.parse())
        texts = [next(stream).choices[0].delta.content or ""]
        os.kill(live.pids["web"], signal.SIGTERM)
        texts += [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, raw.headers["x-item-id"]))
    assert "".join(texts) == stored_text(item)
    until(lambda: not psutil.pid_exists(live.pids["web"]) or psutil.Process(live.pids["web"]).status() == psutil.STATUS_ZOMBIE, "it ended")
