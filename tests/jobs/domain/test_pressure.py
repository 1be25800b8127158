"""Who is refused first: bulk, then default, interactive last; at each limit and not below."""

from typing import Any

import pytest

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.pressure import Limits, Load, find_shortage

LIMITS = Limits(oldest_seconds={"bulk": 100, "default": 200, "interactive": 10}, waiting=1000, free_bytes=1000)


def refused(**values: Any) -> list[str]:
    given: dict[str, Any] = {"oldest_seconds": {}, "waiting": 0, "free_bytes": None, "memory_share": None}
    load = Load(**given | values)
    return [lane.value for lane in Lane if find_shortage(lane, load, LIMITS)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"oldest_seconds": {"bulk": 100, "default": 100, "interactive": 10}}, []),
        ({"oldest_seconds": {"bulk": 101}}, ["bulk"]),
        ({"oldest_seconds": {"bulk": 100_000}}, ["bulk"]),
        ({"oldest_seconds": {"default": 101}}, ["bulk"]),
        ({"oldest_seconds": {"default": 201}}, ["default", "bulk"]),
        ({"oldest_seconds": {"interactive": 11}}, ["interactive"]),
        ({"waiting": 1000}, []),
        ({"waiting": 1001}, ["bulk"]),
        ({"waiting": 1251}, ["default", "bulk"]),
        ({"waiting": 1501}, ["interactive", "default", "bulk"]),
        ({"free_bytes": 1000}, []),
        ({"free_bytes": 999}, ["bulk"]),
        ({"free_bytes": 499}, ["default", "bulk"]),
        ({"free_bytes": 249}, ["interactive", "default", "bulk"]),
        ({"memory_share": 0.90}, []),
        ({"memory_share": 0.91}, ["bulk"]),
        ({"memory_share": 0.96}, ["default", "bulk"]),
        ({"memory_share": 0.99}, ["interactive", "default", "bulk"]),
    ],
)
def test_who_is_refused(values: dict[str, Any], expected: list[str]) -> None:
    assert sorted(refused(**values)) == sorted(expected)


def test_no_depth_no_limit() -> None:
    load = Load(oldest_seconds={}, waiting=10**9, free_bytes=None, memory_share=None)
    limits = Limits(oldest_seconds=LIMITS.oldest_seconds, waiting=0, free_bytes=0)
    assert [find_shortage(lane, load, limits) for lane in Lane] == [None] * 3


def test_it_says_why_and_when_to_come_back() -> None:
    load = Load(oldest_seconds={"bulk": 3601}, waiting=0, free_bytes=None, memory_share=None)
    shortage = find_shortage(Lane.BULK, load, LIMITS)
    assert shortage is not None
    assert shortage.reason == "the oldest item of the lane bulk has waited for 3,601 s (limit 100 s)"
    assert shortage.retry_after_seconds == 60
