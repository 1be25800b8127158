"""Texts that are embedded together: by one request, as many as a provider takes."""

from collections.abc import Callable, Sequence
from uuid import UUID

MOST_TEXTS = 64
# Providers take from tens of thousands up.
MOST_TOKENS = 30_000


def group_texts(texts: Sequence[tuple[UUID, str]], *, count: Callable[[str], int]) -> list[list[tuple[UUID, str]]]:
    """In their order; each group holds at most 64 texts and 30,000 tokens, or one text."""
    groups: list[list[tuple[UUID, str]]] = []
    room = 0
    for key, text in texts:
        tokens = count(text)
        if not groups or len(groups[-1]) == MOST_TEXTS or tokens > room:
            groups.append([])
            room = MOST_TOKENS
        groups[-1].append((key, text))
        room -= tokens
    return groups
