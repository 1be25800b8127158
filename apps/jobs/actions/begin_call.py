"""Begin a single call, for whoever reads its answer whole, and for whoever reads it as it comes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.jobs.actions.answer_call import answer_call
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.actions.stream_call import stream_call
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.jobs.domain.chunk import Chunk
from apps.jobs.domain.streamed_answer import StreamedAnswer

Piece = Chunk | CallAnswer | None


@dataclass(frozen=True, slots=True)
class BegunStream:
    """An answer of which a piece has come; or none within 15 s, and `first` is None. If it fails now, its last piece says so."""

    first: Chunk | None
    rest: AsyncGenerator[Piece, None]

    async def written(self, write: Callable[[Piece], list[bytes]]) -> AsyncGenerator[bytes, None]:
        """What `write` makes of each piece; the last one is the answer. Whoever stops reading leaves the call."""
        async with aclosing(self.rest):
            for line in write(self.first):
                yield line
            async for piece in self.rest:
                for line in write(piece):
                    yield line


async def begin_call(
    *, item_id: UUID, caller: Caller, request: CallRequest, told: StreamedAnswer | None, repeats: Repeats | None = None, now: datetime
) -> CallAnswer | BegunStream:
    """`told` keeps what goes out of a stream; None: the answer is wanted whole. A stream begins with its first piece, or after 15 s.

    The answer in place of a stream when it is there before that, or the failure, which has a status of its own.
    """
    if told is None:
        return await answer_call(item_id=item_id, caller=caller, request=request, repeats=repeats, now=now)
    pieces = stream_call(item_id=item_id, caller=caller, request=request, told=told, repeats=repeats, now=now)
    first = await anext(pieces)
    return first if isinstance(first, CallAnswer) else BegunStream(first, pieces)
