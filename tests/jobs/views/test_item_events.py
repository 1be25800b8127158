"""Events of an item: who may follow it, how many streams one key may have open, and that each ends when its key or its item is gone."""

import asyncio
from contextlib import aclosing
from functools import partial
from importlib import import_module
from typing import Any

import orjson
import pytest
from django.test import AsyncClient
from django.utils import timezone

from apps.accounts.actions import revoke_api_key
from apps.accounts.domain.keys import Scope, prefix_of
from apps.accounts.models import ApiKey
from apps.jobs.actions import follow_item, tell_chunks
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.chunk import STREAM_SECONDS, Chunk, stream_key
from apps.jobs.models import Item
from apps.jobs.views.watching import open_streams
from apps.lib.ids import uuid7
from apps.lib.redis_client import open_async_redis, redis_client
from tests.jobs.batches import end_item
from tests.jobs.calls.callers import make_secret
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "good words"}}],
}
RESTART = b"event: restart\ndata: {}\n\n"
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module(follow_item.__module__), "_LOOK_SECONDS", 0.01)


def make_item(kind: str = "single") -> Item:
    return make_job(kind=kind).items.select_related("job").get()


async def follow(secret: str, item: Item, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {secret}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await AsyncClient().get(f"/api/items/{item.public_id}/events", headers=sent)


async def follow_job(secret: str, item: Item) -> Any:
    return await AsyncClient().get(f"/api/jobs/{item.job.public_id}/events", headers={"Authorization": f"Bearer {secret}"})


def piece(text: str, *, finish: str | None = None) -> str:
    return orjson.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}).decode()


def tell(item: Item, entries: dict[str, str]) -> None:
    for place, data in entries.items():
        redis_client().xadd(stream_key(item.id), {"d": data}, id=place)


async def all_of(answer: Any) -> list[bytes]:
    return [line async for line in answer.streaming_content]


def text_of(lines: list[bytes]) -> str:
    """What the lines behind the last restart say."""
    last = max((at for at, line in enumerate(lines) if line == RESTART), default=-1)
    chunks = [orjson.loads(line.split(b"data: ", 1)[1]) for line in lines[last + 1 :] if line != DONE]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def read(answer: Any, has_begun: asyncio.Event) -> None:
    """Until it is cancelled, as Django does when a client hangs up."""
    async for _ in answer.streaming_content:
        has_begun.set()


@pytest.mark.parametrize(("kind", "scope"), [("single", Scope.CHAT), ("batch", Scope.JOBS), ("documents", Scope.JOBS)])
async def test_a_key_reads_the_answers_of_what_it_may_make(kind: str, scope: Scope) -> None:
    item = await in_thread(make_item, kind)
    others = set(Scope) - {scope}
    assert (await follow(await in_thread(make_secret, "acme", scope), item)).status_code == 200
    for scopes in (others, others - {Scope.CHAT, Scope.JOBS}):
        answer = await follow(await in_thread(partial(make_secret, "acme", *scopes)), item)
        assert (answer.status_code, orjson.loads(answer.content)["code"]) == (403, "missing_scope")


@pytest.mark.usefixtures("_often")
async def test_a_reader_whose_key_is_revoked_is_sent_away_and_others_read_on() -> None:
    secret, other, item = await in_thread(make_secret), await in_thread(make_secret), await in_thread(make_item)
    await in_thread(tell, item, {"1-1": piece("good")})
    async with (
        aclosing((await follow(secret, item)).streaming_content) as lines,
        aclosing((await follow(other, item)).streaming_content) as rest,
    ):
        assert b"good" in await anext(lines)
        assert b"good" in await anext(rest)
        key = await in_thread(ApiKey.objects.get, prefix=prefix_of(secret))
        await in_thread(partial(revoke_api_key, key_id=key.id, now=timezone.now()))
        assert [line async for line in lines] == [b'event: refused\ndata: {"code": "invalid_api_key"}\n\n']
        await in_thread(tell, item, {"1-2": piece(" words")})
        assert b" words" in await anext(rest)


def test_keys_are_looked_at_once_a_second() -> None:
    """As often as the test before has it, and not only when the answer is there."""
    module = import_module(follow_item.__module__)
    assert module._LOOK_SECONDS * module._KEY_LOOKS <= 1


@pytest.mark.usefixtures("_often")
async def test_an_item_that_is_deleted_ends_its_streams() -> None:
    secret, item = await in_thread(make_secret), await in_thread(make_item)
    await in_thread(tell, item, {"1-1": piece("good")})
    async with aclosing((await follow(secret, item)).streaming_content) as lines:
        assert b"good" in await anext(lines)
        await in_thread(Item.objects.filter(id=item.id).delete)
        restart, error = [line async for line in lines]
    assert (restart, orjson.loads(error.removeprefix(b"data: "))["error"]["code"]) == (RESTART, "not_found")


async def test_a_key_has_so_many_streams_open_and_no_more(settings: Any) -> None:
    """Those of items and of jobs together; who closes one may open another, also when he never read it."""
    settings.API_OPEN_STREAMS = 2
    secret, other, item = await in_thread(make_secret), await in_thread(make_secret), await in_thread(make_item)
    await in_thread(tell, item, {"1-1": piece("good")})
    has_begun = asyncio.Event()
    reader = asyncio.create_task(read(await follow(secret, item), has_begun))
    await has_begun.wait()
    unread = await follow_job(secret, item)
    for refused in (await follow(secret, item), await follow_job(secret, item)):
        assert (refused.status_code, orjson.loads(refused.content)["code"]) == (429, "too_many_streams")
        assert int(refused.headers["Retry-After"]) > 0
    others = await follow(other, item)
    key = await in_thread(ApiKey.objects.get, prefix=prefix_of(secret))
    assert (others.status_code, open_streams.of(key.id)) == (200, 2)
    unread.close()
    again = await follow_job(secret, item)
    assert (again.status_code, open_streams.of(key.id)) == (200, 2)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    others.close()
    again.close()
    assert open_streams.of(key.id) == 0


async def test_who_asks_too_often_waits(settings: Any) -> None:
    settings.API_READS_PER_MINUTE = 2
    secret, item = await in_thread(make_secret), await in_thread(make_item)
    answers = [await follow(secret, item), await follow_job(secret, item), await follow(secret, item), await follow_job(secret, item)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert [orjson.loads(answer.content)["code"] for answer in answers[2:]] == ["rate_limit_exceeded"] * 2
    assert all(1 <= int(answer.headers["Retry-After"]) <= 30 for answer in answers[2:])
    for answer in answers[:2]:
        answer.close()


FORGED = {
    "an end at once": {"1-1": ""},
    "other words": {"1-1": piece("bad words", finish="stop"), "1-2": ""},
    "more words": {"1-1": piece("good words"), "1-2": piece(" and bad ones", finish="stop"), "1-3": ""},
    "fewer words": {"1-1": piece("good", finish="stop"), "1-2": ""},
    "a gap": {"1-1": piece("good"), "1-3": piece(" words", finish="stop"), "1-4": ""},
    "another run in its midst": {"1-1": piece("good"), "2-1": piece("good"), "2-7": ""},
    "far ahead": {"999999999999999-999999999999999": piece("bad")},
    "no JSON": {"1-1": "bad", "1-2": "[1]", "1-3": "null", "1-4": piece("good words", finish="stop"), "1-5": ""},
    "lines of its own": {"1-1": piece("good words", finish="stop") + "\n\nevent: restart\ndata: {}", "1-2": '{"a":\r1}', "1-3": ""},
}


def garbage(client: Any) -> dict[str, Any]:
    """What may stand where the pieces of an item's answer should."""
    return {
        "a text": lambda key: client.set(key, b"\xff"),
        "a list": lambda key: client.rpush(key, "x"),
        "a hash": lambda key: client.hset(key, "d", "x"),
        "other fields": lambda key: client.xadd(key, {b"\xff": b"\xff", "e": piece("bad")}, id="1-1"),
    }


async def test_whatever_stands_among_the_pieces_the_reader_has_the_stored_answer_at_last() -> None:
    secret = await in_thread(make_secret)
    puts = {name: (lambda item, entries=entries: tell(item, entries)) for name, entries in FORGED.items()}
    puts |= {name: (lambda item, put=put: put(stream_key(item.id))) for name, put in garbage(redis_client()).items()}
    for name, put in puts.items():
        item = await in_thread(make_item)
        await in_thread(put, item)
        await in_thread(partial(end_item, item, answer=orjson.dumps(ANSWER)))
        lines = await all_of(await follow(secret, item))
        assert (text_of(lines), lines[-1]) == ("good words", DONE), name
        assert all(line.count(b"\n\n") == 1 for line in lines), name


async def test_no_piece_stays_for_ever() -> None:
    """Neither when its pump dies before the last one, nor when what stood before has been deleted."""
    item_id = uuid7()
    async with open_async_redis() as client:
        for number in (1, 2, 3):
            await tell_chunks._send(client, [("nobody", item_id, Chunk(1, number, piece("good")))])
            assert 0 < await client.ttl(stream_key(item_id)) <= STREAM_SECONDS
            await client.delete(stream_key(item_id))


async def test_pieces_that_are_the_stored_answer_are_told_once() -> None:
    secret, item = await in_thread(make_secret), await in_thread(make_item)
    await in_thread(tell, item, {"1-1": piece("good"), "1-2": piece(" words", finish="stop"), "1-3": ""})
    await in_thread(partial(end_item, item, answer=orjson.dumps(ANSWER)))
    lines = await all_of(await follow(secret, item))
    assert (len(lines), text_of(lines), lines[-1]) == (3, "good words", DONE)
    behind = await all_of(await follow(secret, item, Last_Event_ID="1-1"))
    assert (len(behind), text_of(behind), behind[-1]) == (2, " words", DONE)
