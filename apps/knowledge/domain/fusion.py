"""Two rankings become one: reciprocal rank fusion, with an order that never depends on chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

# The usual constant: the first places count for more, but none counts for all.
_FLATTENING = 60
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with its score and its place in each ranking, from 1 on; None where it isn't in it."""

    chunk_id: UUID
    score: float
    vector_rank: int | None
    text_rank: int | None


def fuse(by_vector: Sequence[UUID], by_text: Sequence[UUID], *, most: int) -> list[Found]:
    """The best of both, best first; among equals the one that is nearer by its vector, then the older chunk."""
    vector_ranks = {key: rank for rank, key in enumerate(by_vector, start=1)}
    text_ranks = {key: rank for rank, key in enumerate(by_text, start=1)}
    found = [
        Found(key, _score(vector_ranks.get(key), text_ranks.get(key)), vector_ranks.get(key), text_ranks.get(key))
        for key in {**vector_ranks, **text_ranks}
    ]
    last = len(found) + 1
    return sorted(found, key=lambda one: (-one.score, one.vector_rank or last, one.text_rank or last, one.chunk_id))[:most]


def _score(*ranks: int | None) -> float:
    return round(sum(1 / (_FLATTENING + rank) for rank in ranks if rank is not None), _PLACES)
