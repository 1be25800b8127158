"""A web process is killed in mid-stream: its callers go on with another one, and nothing is asked, or paid, again."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import ITEM_PREFIX, Item
from apps.lib.ids import parse_public_id
from apps.lib.ports import free_port
from apps.spend.models import Charge
from tests.chaos.workers import until, web, worker
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import running_parts
from tests.journeys.test_streaming import ask, events_of, stored_text, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(600)]


def read_until_killed(url: str, secret: str, call: dict[str, Any], process: psutil.Process) -> tuple[str, list[dict[str, str]]]:
    """The item and the events that its caller got, whose web process is killed behind the third piece."""
    events: list[dict[str, str]] = [{}]
    with (
        OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client,
        client.chat.completions.with_streaming_response.create(**call) as answer,
        suppress(httpx2.TransportError),
    ):
        for line in answer.iter_lines():
            if line:
                name, value = line.split(": ", 1)
                events[-1][name] = value
            else:
                events.append({})
            if len(text_pieces(events)) == 3 and process.is_running():
                process.kill()
                process.wait()
    # What broke off in the middle has not been got.
    return answer.headers["x-item-id"], events[:-1]


def text_pieces(events: list[dict[str, str]]) -> list[str]:
    return [event["data"] for event in events[:-1] if '"content"' in event.get("data", "")]


def piece_of(chunk: ChatCompletionChunk) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def stream_of(url: str, secret: str, call: dict[str, Any]) -> tuple[str, str]:
    """(item, text) by OpenAI's package, which sends no key."""
    with OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**call)
        return raw.headers["x-item-id"], "".join(map(piece_of, raw.parse()))


def test_a_stream_goes_on_and_the_next_call_gets_its_answer(tmp_path: Path) -> None:
    port = free_port()
    with running_parts(tmp_path, "web") as live, web(port) as first, worker("exec-interactive"):
        make_callable(base_url=live.provider_url)
        secret, call = make_secret(), ask("[[sim pieces=60 gap=0.1]]")
        item_id, got = read_until_killed(f"http://127.0.0.1:{port}", secret, call, first)
        assert 3 <= len(got) < 60
        rest = events_of(live, secret, item_id, after=got[-1]["id"])
        answer = stored_text(Item.objects.get(id=parse_public_id(ITEM_PREFIX, item_id)))
        assert text_of(got) + text_of(rest) == answer
        assert "restart" not in [event.get("event") for event in rest]
        assert stream_of(live.url, secret, call) == (item_id, answer)
        assert (Item.objects.count(), Charge.objects.count()) == (1, 1)
        assert stream_of(live.url, secret, call)[0] != item_id


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_call_under_way_is_taken_over_by_the_next_process(tmp_path: Path, is_streamed: bool) -> None:  # noqa: FBT001 -- a parameter
    """OpenAI's package sends it again by itself until somebody listens there."""
    port = free_port()
    with running_parts(tmp_path) as live, worker("exec-interactive"), ThreadPoolExecutor(1) as threads:
        make_callable(base_url=live.provider_url)
        call = ask("[[sim delay=6]]") | {"stream": is_streamed}
        with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=make_secret(), max_retries=20) as client:
            with web(port) as first:
                said = threads.submit(client.chat.completions.with_raw_response.create, **call)
                until(Item.objects.filter(state=ItemState.RUNNING).exists, "the call was sent")
                first.kill()
                first.wait()
            with web(port):
                raw = said.result(timeout=120)
                parsed = raw.parse()
                text = "".join(map(piece_of, parsed)) if is_streamed else parsed.choices[0].message.content
    item = Item.objects.get()
    assert (raw.headers["x-item-id"], raw.headers["idempotency-replayed"]) == (item.public_id, "true")
    assert text == stored_text(item)
    assert Charge.objects.count() == 1
