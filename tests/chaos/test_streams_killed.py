"""A worker is killed while an answer is streamed: the caller gets the whole of it, once, and whoever comes back gets the same."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from apps.jobs.actions import sweep
from apps.jobs.models import ITEM_PREFIX, Item, Pump
from apps.lib.ids import parse_public_id
from apps.spend.models import Charge
from tests.chaos.workers import until, worker
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import running_parts
from tests.journeys.test_streaming import ask, events_of, stored_text, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(600)]


def pid_that_runs(item: Item) -> int:
    item.refresh_from_db()
    return Pump.objects.get(id=item.pump_id).pid


def test_the_rest_of_an_answer_comes_from_another_worker(tmp_path: Path) -> None:
    with running_parts(tmp_path, "web") as live, worker("exec-interactive"), worker("exec-interactive"):
        make_callable(base_url=live.provider_url)
        secret = make_secret()
        call: dict[str, Any] = ask("[[sim pieces=30 gap=0.1]]") | {"extra_headers": {"Idempotency-Key": "once"}}
        with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(**call)
            item_id = raw.headers["x-item-id"]
            item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, item_id))
            stream, said = iter(raw.parse()), [""]
            while sum(map(bool, said)) < 3:
                said.append(next(stream).choices[0].delta.content or "")
            os.kill(pid_that_runs(item), signal.SIGKILL)
            reader = threading.Thread(target=lambda: said.extend(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
            reader.start()
            until(lambda: not reader.is_alive(), "the stream ended", meanwhile=sweep)
            answer = stored_text(Item.objects.get(id=item.id))
            assert "".join(said) == answer
            told = events_of(live, secret, item_id)
            begun = [event.get("event") for event in told].index("restart")
            assert told[0]["id"].split("-")[0] < told[begun + 1]["id"].split("-")[0]
            assert text_of(told[begun:]) == answer
            with client.chat.completions.create(**call) as again:
                assert "".join(chunk.choices[0].delta.content or "" for chunk in again if chunk.choices) == answer
    assert (Item.objects.count(), Charge.objects.count()) == (1, 1)
