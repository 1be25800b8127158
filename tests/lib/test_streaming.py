"""Streams under ASGI are made piece by piece, and nothing stays open when the client goes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from django.test import AsyncRequestFactory, RequestFactory

from apps.lib.streaming import read_chunks, stream_response

if TYPE_CHECKING:
    from django.core.handlers.asgi import ASGIRequest


async def test_a_chunk_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes([number])

    request = cast("ASGIRequest", AsyncRequestFactory().get("/"))
    response = stream_response(request, chunks(), content_type="text/plain")
    content = cast("AsyncIterator[bytes]", response.streaming_content)
    assert (await anext(content), made) == (b"\0", [0])
    assert [part async for part in content] == [b"\1", b"\2"]


def test_without_asgi_the_same_bytes_come() -> None:
    response = stream_response(RequestFactory().get("/"), iter([b"a", b"b"]), content_type="text/plain")
    assert b"".join(cast("Iterator[bytes]", response.streaming_content)) == b"ab"


def test_a_file_is_closed_at_its_end_and_when_the_reader_gives_up(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000_000)
    whole = path.open("rb")
    assert sum(len(chunk) for chunk in read_chunks(whole)) == 1_000_000
    assert whole.closed
    abandoned = path.open("rb")
    chunks = read_chunks(abandoned)
    next(chunks)
    del chunks
    assert abandoned.closed


async def test_a_client_that_goes_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000_000)
    file = path.open("rb")
    request = cast("ASGIRequest", AsyncRequestFactory().get("/"))
    response = stream_response(request, read_chunks(file), content_type="text/plain")
    content = cast("AsyncIterator[bytes]", response.streaming_content)

    started = asyncio.Event()

    async def read_some(content: AsyncIterator[bytes]) -> None:
        async for _ in content:
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(read_some(content))
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    response.close()
    del content, response, task
    for _ in range(6000):
        if file.closed:
            break
        await asyncio.sleep(0.01)
    assert file.closed
