"""Pieces of many answers on their way: the first one of each goes at once, the others together."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.jobs.actions import tell_chunks
from apps.jobs.actions.tell_chunks import ChunkTeller
from apps.jobs.domain.chunk import Chunk, read_message, stream_key
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.retry import Tries
from apps.lib.ids import uuid7
from apps.lib.redis_client import open_async_redis
from apps.providers.domain.calls import Stage

CHANNEL = "aiplatform:reply:test"


def claimed() -> ClaimedItem:
    now, ids = datetime.now(UTC), {name: uuid7() for name in ("item_id", "run_id", "job_id", "workspace_id", "model_id")}
    values: dict[str, Any] = {"api_key_id": None, "kind": "single", "lane": "interactive", "endpoint": "/v1/chat/completions"}
    values |= {"end_user": "", "feature": "", "reply_to": CHANNEL, "tries": Tries(0), "claimed_at": now, "ready_at": now, "request": None}
    return ClaimedItem(**ids, **values, stage=Stage.START)


async def heard(subscription: Any) -> AsyncIterator[list[str]]:
    """What each message brings."""
    async for message in subscription.listen():
        if message["type"] == "message":
            pieces = [read_message(line)[1] for line in message["data"].split("\n")]
            yield [piece.data for piece in pieces if isinstance(piece, Chunk)]


async def until_out(teller: ChunkTeller) -> None:
    """Return once all that was told is out."""
    while True:
        if teller._sent == teller._taken:
            return
        await asyncio.sleep(0)


async def test_a_first_piece_waits_for_nobody_and_the_others_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell_chunks, "_PAUSE_SECONDS", 3600)
    monkeypatch.setattr(tell_chunks, "_LONGEST_PAUSE", 3600)
    teller, one, other = ChunkTeller(), claimed(), claimed()
    async with open_async_redis() as client, client.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        messages = heard(subscription)
        sending = asyncio.create_task(teller.send_for_ever())
        async with teller.of(one) as tell, teller.of(other) as tell_other:
            for data in ('{"n": 1}', '{"n": 2}'):
                tell(data.encode())
            assert await asyncio.wait_for(anext(messages), 30) == ['{"n": 1}', '{"n": 2}']
            # From now on nothing is due for an hour.
            for data in ('{"n": 3}', '{"n": 4}'):
                tell(data.encode())
            tell_other(b'{"other": 1}')
            assert await asyncio.wait_for(anext(messages), 30) == ['{"other": 1}']
            assert await client.xlen(stream_key(one.item_id)) == 2
            monkeypatch.setattr(tell_chunks, "_DRAIN_SECONDS", 0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        # What waits goes as one, oldest first.
        sending = asyncio.create_task(teller.send_for_ever())
        assert await asyncio.wait_for(anext(messages), 30) == ['{"n": 3}', '{"n": 4}']
        sending.cancel()


def test_the_more_answers_there_are_the_longer_pieces_wait_for_each_other() -> None:
    teller, pauses = ChunkTeller(), []
    for answers in (0, 100, 100_000):
        teller._answers = answers
        pauses.append(teller._pause)
    assert pauses == [0.004, pytest.approx(0.024), 0.03]


async def test_who_ends_waits_for_what_is_on_its_way_and_not_for_what_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell_chunks, "_DRAIN_SECONDS", 3600)
    teller, one = ChunkTeller(), claimed()
    async with asyncio.timeout(60), open_async_redis() as client:
        sending = asyncio.create_task(teller.send_for_ever())
        async with teller.of(one) as tell:
            tell(b'{"n": 1}')
        assert await client.xlen(stream_key(one.item_id)) == 1
        async with teller.of(claimed()) as tell:
            tell(b'{"n": 1}')
            tell(b'{"n": 2}')
            await until_out(teller)
        # All is out, and nobody else says anything.
        assert teller._awaited == []
        sending.cancel()
