"""Which way a search by vector goes, and which words of a question are looked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Reading a chunk in order costs about a twentieth of reading one that the graph leads to, and is exact.
_GRAPH_COST = 20
# What is compared one by one in a few milliseconds needs no graph, and the answer is exact.
_FEW = 2_000
# How many chunks that hold one of a question's words are weighed, about.
_MOST_MATCHES = 1_000
_MOST_WORDS = 24


def is_compared_whole(*, searched: int, stored: int, looked_at: int) -> bool:
    """Whether `searched` of all `stored` chunks are compared one by one, instead of `looked_at` good ones sought through the graph.

    The graph is over all chunks of all collections: the fewer of them are searched, the more of it must be walked.
    """
    if searched <= _FEW:
        return True
    return searched * searched <= looked_at * max(stored, searched) * _GRAPH_COST


@dataclass(frozen=True, slots=True)
class Words:
    """`sought`: a chunk is weighed that holds any of these (all, with `is_all`). `weights`: what each word of the question counts."""

    sought: tuple[str, ...]
    is_all: bool
    weights: tuple[tuple[str, float], ...]


def choose_words(lexemes: Sequence[str], frequencies: Mapping[str, float], *, stored: int, least_frequency: float) -> Words:
    """The rare words lead to chunks, all of them weigh. `frequencies` knows the frequent words; others have less than the least."""
    known = sorted((frequencies.get(word, least_frequency), word) for word in dict.fromkeys(lexemes))[:_MOST_WORDS]
    weights = tuple((word, round(math.log(1 + 1 / max(share, 1e-6)), 4)) for share, word in known)
    sought: list[str] = []
    expected = 0.0
    for share, word in known:
        expected += share * stored
        if sought and expected > _MOST_MATCHES:
            break
        sought.append(word)
    if known and known[0][0] * stored > _MOST_MATCHES:
        # Even the rarest is everywhere: only what holds all of them is weighed.
        return Words(tuple(word for _, word in known), is_all=True, weights=weights)
    return Words(tuple(sought), is_all=False, weights=weights)
