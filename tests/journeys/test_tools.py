"""Tools of the platform with the official SDK: real processes, a provider that answers with tool calls over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from openai import BadRequestError, OpenAI

from apps.jobs.models import ITEM_PREFIX, Item
from apps.lib.ids import parse_public_id
from apps.spend.models import Charge
from tests.factories.knowledge import make_collection, make_document
from tests.jobs import scribe
from tests.jobs.actions.test_tools import platform, script
from tests.jobs.calls.callers import make_callable, make_secret
from tests.jobs.rows import make_workspace
from tests.journeys.live import Live, running_parts
from tests.journeys.test_streaming import events_of, stored_text, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    settings = {"AIPLATFORM_TOOLS": "tests.jobs.scribe", scribe.BOOK: str(tmp_path / "book")}
    with running_parts(tmp_path, "web", "exec-interactive", **settings) as found:
        make_callable(base_url=found.provider_url)
        yield found


def test_a_call_with_tools_is_answered_whole_and_streamed_alike(live: Live) -> None:
    secret = make_secret()
    collection = make_collection(make_workspace(), name="rules")
    make_document("Meals are paid up to twelve euros.", collection=collection)
    query = quote('{"query": "How much are meals?"}')
    prompt = script("search_knowledge,look", arguments=query, rounds=2, beside=quote("One moment."), say="Twelve euros.", pieces=4)
    tools: Any = platform("search_knowledge", collection="rules") + platform("look")
    ask: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": prompt}], "tools": tools}
    text = "One moment.\n\nOne moment.\n\nTwelve euros."
    with OpenAI(base_url=f"{live.url}/v1", api_key=secret, max_retries=0) as client:
        whole = client.chat.completions.create(**ask)
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (text, "stop")
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (60, 90)

        raw = client.chat.completions.with_raw_response.create(**ask, stream=True, stream_options={"include_usage": True})
        chunks = list(raw.parse())
        deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == text
        assert not any(delta.tool_calls for delta in deltas)
        assert [delta.role for delta in deltas if delta.role] == ["assistant"]
        assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 90
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, raw.headers["x-item-id"]))
        assert stored_text(item) == text
        assert len(deltas) > 8

        # Whoever comes back gets the same, from any place, without a restart.
        told = events_of(live, secret, raw.headers["x-item-id"])
        assert (text_of(told), told[-1]["data"]) == (text, "[DONE]")
        assert not [event for event in told if event.get("event") == "restart"]
        known = [event for event in told if event["data"] != "[DONE]"]
        for place in (0, len(known) // 2, len(known) - 2):
            rest = events_of(live, secret, raw.headers["x-item-id"], after=known[place]["id"])
            assert [event["data"] for event in rest] == [event["data"] for event in told[place + 1 :]]

        with pytest.raises(BadRequestError) as refused:
            client.chat.completions.create(**ask | {"tools": platform("search_knowledge", collection="nowhere")})
        assert refused.value.param == "tools.0.platform.collection"
    assert Charge.objects.count() == 6
    shown = json.loads(read(live, secret, raw.headers["x-item-id"]))
    assert [(effect["tool"], effect["outcome"]) for effect in shown["effects"]] == [("search_knowledge", "ok"), ("look", "refused")] * 2


def read(live: Live, secret: str, item_id: str) -> bytes:
    with urlopen(Request(f"{live.url}/api/items/{item_id}", headers={"Authorization": f"Bearer {secret}"}), timeout=60) as answer:
        content: bytes = answer.read()
    return content
