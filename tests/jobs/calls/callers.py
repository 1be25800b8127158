"""Callers and a stand-in for the pump, in one event loop: what tests of waiting calls are made of."""

import asyncio
import json
import threading
from typing import Any
from uuid import UUID

import pytest
from django.test import AsyncClient

from apps.accounts.actions import create_api_key
from apps.accounts.domain.keys import Scope
from apps.jobs.actions.call_threads import MAX_THREADS, in_thread
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib.redis_client import open_async_redis, redis_client
from apps.providers.models import Model, Provider, Target
from tests.jobs.batches import end_item
from tests.jobs.rows import make_workspace

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "hello"}}]}'


def make_callable(name: str = "small", *, timeout_seconds: float = 60, base_url: str = "http://127.0.0.1:9/v1") -> Model:
    """A model with one target."""
    provider = Provider.objects.get_or_create(name="p", defaults={"base_url": base_url, "total_timeout_seconds": timeout_seconds})[0]
    model = Model.objects.get_or_create(name=name)[0]
    Target.objects.get_or_create(model=model, provider=provider, upstream_model=name)
    return model


def make_secret(workspace: str = "acme", *scopes: Scope) -> str:
    return create_api_key(workspace_id=make_workspace(workspace).id, name="test", scopes=scopes or tuple(Scope)).secret


async def post(secret: str, body: object, path: str = CHAT, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {secret}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await AsyncClient().post(path, data=content, content_type="application/json", headers=sent)


async def next_item() -> Item:
    """The item that was submitted last, once there is one that waits."""
    while True:
        item = await in_thread(Item.objects.filter(state=ItemState.WAITING).last)
        if item is not None:
            return item
        await asyncio.sleep(0.005)


async def leave(call: "asyncio.Task[Any]") -> None:
    """Its caller goes, and all that is done for it then has been done."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until_all_is_done()


async def until_all_is_done() -> None:
    """What was left to threads before: they meet once all of them are free at the same time."""
    meeting = threading.Barrier(MAX_THREADS)
    await asyncio.gather(*(in_thread(meeting.wait) for _ in range(MAX_THREADS)))


async def until_cancelled() -> None:
    """Return once there is a cancelled item."""
    while True:
        if await in_thread(Item.objects.filter(state=ItemState.CANCELLED).exists):
            return
        await asyncio.sleep(0.005)


async def until_heard(channel: str) -> None:
    """Return once somebody listens on this channel."""
    async with open_async_redis() as client:
        while True:
            if dict(await client.pubsub_numsub(channel))[channel]:
                return
            await asyncio.sleep(0.005)


def begin(item_id: UUID) -> None:
    Item.objects.filter(id=item_id).update(state=ItemState.RUNNING)


async def end(item: Item, *, publish: bool = True, answer: bytes | None = ANSWER, **values: Any) -> None:
    """End the item as settle does, and say so on its caller's channel."""
    await in_thread(end_item, item, answer=answer, **values)
    if publish:
        await in_thread(redis_client().publish, item.reply_to, item.id.hex)
