"""Chains of hashes: each link names the one before it, so that a changed, lost or inserted one is found."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """`hash` is what stands there, `expected_hash` what it must be."""

    number: int
    previous_hash: bytes
    hash: bytes
    expected_hash: bytes


def walk_chain(links: Iterable[Link], *, after: int, tip: bytes, name: str, was: str) -> Generator[str, None, tuple[int, bytes]]:
    """What is wrong with links in their order, which follow (`after`, `tip`); returns number and hash of the last one.

    `name`: what a link is called; `was`: what its hash is of.
    """
    last, previous = after, tip
    for link in links:
        if link.number != last + 1:
            yield f"{name} {last + 1} is missing"
        elif link.previous_hash != previous:
            yield f"{name} {link.number} doesn't follow the one before it"
        if link.hash != link.expected_hash:
            yield f"{name} {link.number} isn't {was}: its hash is another"
        last, previous = link.number, link.hash
    return last, previous
