"""What tests over HTTP begin with: two upstreams, a session, a gate."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from apps.providers.actions import Gate, open_session
from tests.factories.providers import make_gate
from tests.providers.storm import Upstream, serve


@pytest.fixture
async def upstreams() -> AsyncIterator[list[Upstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serve(Upstream())) for _ in range(2)]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(max_connections=100) as found:
        yield found


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with make_gate() as found:
        yield found
