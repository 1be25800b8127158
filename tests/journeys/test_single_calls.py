"""Single calls with the official SDK: a real web process, a real urgent worker, a simulated provider over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import openai
import psycopg
import pytest
from aiohttp import web
from django.db import connection
from openai import AsyncOpenAI, OpenAI

from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import ITEM_PREFIX, Item, Job
from apps.lib.ids import parse_public_id
from apps.lib.ports import free_port
from apps.spend.models import Charge
from tests.jobs.calls.callers import CHAT, GOOD, make_callable, make_secret
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

CALLERS = 300
PATIENCE = aiohttp.ClientTimeout(total=500)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running_parts(tmp_path, "web", "exec-interactive") as found:
        make_callable(base_url=found.provider_url)
        yield found


def ask(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_every_endpoint_with_the_sdk(live: Live) -> None:
    with OpenAI(base_url=f"{live.url}/v1", api_key=make_secret(), max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["small"]
        assert client.models.retrieve("small").owned_by == "aiplatform"
        chat = client.chat.completions.create(
            model="small", messages=ask("hi"), user="u1", extra_headers={"X-Feature": "search", "X-Prompt-Version": "v7"}
        )
        assert chat.choices[0].message.content
        assert chat.usage is not None
        assert chat.usage.prompt_tokens == 20
        assert client.completions.create(model="small", prompt="hi").choices[0].text
        # The SDK asks for base64 when it is not told otherwise, and takes what the provider makes of it.
        assert len(client.embeddings.create(model="small", input=["a", "b"]).data[0].embedding) == 256
        assert client.responses.create(model="small", input="hi").output_text
        raw = client.chat.completions.with_raw_response.create(model="small", messages=ask("again"))
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, raw.headers["x-item-id"]))
        assert raw.headers["x-request-id"].startswith("req_")
        assert raw.headers["x-served-by"] == "p/small"
        assert int(raw.headers["openai-processing-ms"]) > 0
    assert (item.state, item.output_tokens) == (ItemState.DONE, 30)
    assert Charge.objects.count() == Item.objects.filter(state=ItemState.DONE).count() == 5
    assert Charge.objects.filter(feature="search", end_user="u1", prompt_version="v7").count() == 1
    assert set(Job.objects.values_list("status", flat=True)) == {JobStatus.COMPLETED}
    refused_calls(live)
    asyncio.run(concurrent_calls(live))


def refused_calls(live: Live) -> None:
    with OpenAI(base_url=f"{live.url}/v1", api_key=make_secret(), max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="nobody", messages=ask("hi"))
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as rejected:
            client.chat.completions.create(model="small", messages=ask("[[sim status=400]]"))
        assert rejected.value.message.endswith("A simulated failure with status 400.")
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="small", messages=ask("[[sim status=401]]"))
        assert refused.value.status_code == 503
        assert client.chat.completions.create(model="small", messages=ask("[[sim status=500 times=1]]")).choices
    with OpenAI(base_url=f"{live.url}/v1", api_key="wrong", max_retries=0) as stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()


async def concurrent_calls(live: Live) -> None:
    async with AsyncOpenAI(base_url=f"{live.url}/v1", api_key=await in_thread(make_secret), max_retries=0) as client:
        answers = await asyncio.gather(*(client.chat.completions.create(model="small", messages=ask(str(n))) for n in range(20)))
    assert all(answer.choices[0].message.content for answer in answers)


class HoldingProvider:
    """Answers nobody until `CALLERS` requests wait here at once, and it is told to."""

    def __init__(self) -> None:
        self.waiting = 0
        self.all_wait, self.release = asyncio.Event(), asyncio.Event()

    async def answer(self, _: web.Request) -> web.Response:
        self.waiting += 1
        if self.waiting == CALLERS:
            self.all_wait.set()
        await self.release.wait()
        return web.json_response({"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]})

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            port = free_port()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            self.release.set()
            await runner.cleanup()


async def test_300_waiting_callers_hold_at_most_10_connections(tmp_path: Path) -> None:
    provider = HoldingProvider()
    headers = {"Authorization": f"Bearer {await in_thread(make_secret)}"}
    with running_parts(tmp_path, "web", "exec-interactive") as live:
        async with (
            provider.listening() as base_url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers, timeout=PATIENCE) as session,
            await psycopg.AsyncConnection.connect(**connect_values(), autocommit=True) as watch,
        ):
            await in_thread(partial(make_callable, timeout_seconds=300, base_url=base_url))

            async def call() -> int:
                async with session.post(live.url + CHAT, json=GOOD) as answer:
                    await answer.read()
                    return answer.status

            calls = [asyncio.create_task(call()) for _ in range(CALLERS)]
            most = 0
            while not provider.all_wait.is_set():
                most = max(most, await held_connections(watch))
                assert not any(task.done() for task in calls), "an answer came before all waited"
                await asyncio.sleep(0.02)
            # All of them are in the air now, and nothing but waiting is going on.
            running = await watch.execute("SELECT count(*) FROM jobs_item WHERE state = 'running'")
            assert await running.fetchone() == (CALLERS,)
            while_waiting = [await held_connections(watch) for _ in range(50)]
            provider.release.set()
            assert await asyncio.gather(*calls) == [200] * CALLERS
    assert 1 <= max(most, *while_waiting) <= 10


async def held_connections(watch: psycopg.AsyncConnection[Any]) -> int:
    held = await watch.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web' AND datname = current_database()")
    return int((await held.fetchone() or (0,))[0])


def connect_values() -> dict[str, Any]:
    values = connection.settings_dict
    return {
        "host": values["HOST"],
        "port": values["PORT"],
        "user": values["USER"],
        "password": values["PASSWORD"],
        "dbname": values["NAME"],
    }


async def test_a_caller_who_hangs_up_leaves_nothing_waiting_that_was_not_sent(tmp_path: Path) -> None:
    """Without a worker nothing is sent; the web process hears that the socket closed."""
    with running_parts(tmp_path, "web") as live:
        await in_thread(make_callable, base_url=live.provider_url)
        headers = {"Authorization": f"Bearer {await in_thread(make_secret)}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            call = asyncio.create_task(session.post(live.url + CHAT, json=GOOD))
            await until(ItemState.WAITING)
            call.cancel()
            await until(ItemState.CANCELLED)


async def until(state: ItemState) -> None:
    async with await psycopg.AsyncConnection.connect(**connect_values(), autocommit=True) as watch:
        while True:
            found = await watch.execute("SELECT 1 FROM jobs_item WHERE state = %s", [state.value])
            if await found.fetchone():
                return
            await asyncio.sleep(0.02)
