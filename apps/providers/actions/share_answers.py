"""The same question asked again while the first one is in the air: one call, and all get its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from apps.providers.domain.calls import Completion
from apps.providers.domain.outcomes import Outcome


class Asked:
    """A question in the air, and the run that asks it."""

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        self.completion: Completion | None = None
        self._is_over = asyncio.Event()

    async def wait(self) -> Completion | None:
        """The good answer; None: there was none, so ask yourself."""
        await self._is_over.wait()
        return self.completion

    def end(self) -> None:
        self._is_over.set()


class SharedAnswers:
    """One per pump, by key. What has been answered stays until it is settled: from then on the cache has it."""

    def __init__(self) -> None:
        self._asked: dict[bytes, Asked] = {}

    def find(self, key: bytes) -> Asked | None:
        """Who asks this at present."""
        return self._asked.get(key)

    @asynccontextmanager
    async def asking(self, key: bytes, run_id: UUID) -> AsyncIterator[Asked]:
        """Ask for all; who asks puts the completion into what this gives. Left without a good answer, the others ask by themselves."""
        asked = self._asked[key] = Asked(run_id)
        try:
            yield asked
        finally:
            if asked.completion is None or asked.completion.outcome is not Outcome.OK:
                asked.completion = None
                self.forget(key, run_id)
            asked.end()

    def forget(self, key: bytes, run_id: UUID) -> None:
        """What this run asked is settled."""
        if (asked := self._asked.get(key)) is not None and asked.run_id == run_id:
            del self._asked[key]
