"""Who makes vectors, and what a vector must be before it is stored."""

import hashlib
import math
from typing import Any
from uuid import UUID

# Ships with the platform; every other name is a model of a provider.
LOCAL = "wordllama-256"
LOCAL_DIMENSIONS = 256
# Each has a graph of its own.
DIMENSIONS = (256, 384, 512, 768, 1024, 1536)
# Why a version that was read is not found yet: nobody made its vectors, or those that were made can't serve.
NOT_EMBEDDED, UNUSABLE = "not_embedded", "vectors_unusable"


class VectorRefusedError(Exception):
    """What was answered is no vector that could be compared with others."""


def embedded_text(heading: str, text: str) -> str:
    """What a vector is made of: what stands above a piece says what it is about."""
    return f"{heading}\n{text}" if heading else text


def text_key(*, workspace_id: UUID, embedder: str, dimensions: int, text: str) -> UUID:
    """The same for the same text: what was paid for once serves again, within the workspace."""
    said = "\0".join([str(workspace_id), embedder, str(dimensions), text])
    return UUID(bytes=hashlib.sha256(said.encode()).digest()[:16])


def fit_vector(numbers: Any, *, dimensions: int) -> list[float]:
    """Of length 1, and of so many numbers: a longer one is cut, as models that are made for it allow.

    VectorRefusedError for one that is shorter, has no direction, or is none.
    """
    if not isinstance(numbers, list) or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise VectorRefusedError("The model answered something else than a list of numbers.")
    if len(numbers) < dimensions:
        message = (
            f"The model makes vectors of {len(numbers):,} numbers, the collection holds {dimensions:,}: make one with fewer dimensions."
        )
        raise VectorRefusedError(message)
    kept = [float(one) for one in numbers[:dimensions]]
    length = math.hypot(*kept)
    if not math.isfinite(length) or length == 0:
        raise VectorRefusedError("The model answered a vector without a direction.")
    return [one / length for one in kept]


def read_vectors(answer: Any, *, count: int, dimensions: int) -> list[list[float]]:
    """The vectors of an answer of `/v1/embeddings`, in the order of the texts; VectorRefusedError says what is wrong with it."""
    told = answer.get("data") if isinstance(answer, dict) else None
    data: list[Any] = told if isinstance(told, list) else []
    by_index = {entry.get("index"): entry.get("embedding") for entry in data if isinstance(entry, dict)}
    if len(data) != count or set(by_index) != set(range(count)):
        raise VectorRefusedError(f"The model answered {len(data):,} vectors to {count:,} texts.")
    return [fit_vector(by_index[place], dimensions=dimensions) for place in range(count)]
