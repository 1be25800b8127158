"""What a Redis or Valkey tells of itself, and what is said of it."""

import pytest

from apps.ops.domain.message_store import find_store_faults

GOOD = {"redis_version": "7.2.4", "valkey_version": "9.1.2", "server_name": "valkey", "maxmemory_policy": "noeviction", "aof_enabled": 1}


def told(**values: object) -> list[tuple[str, bool]]:
    return [(fault.what, fault.stops) for fault in find_store_faults(GOOD | values)]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"valkey_version": "8.0.0"},
        {"valkey_version": "8.1.4-rc1"},
        {"valkey_version": "255.255.255"},
        {"valkey_version": None, "redis_version": "7.0.15"},
        {"valkey_version": None, "redis_version": "10.0.0"},
        {"valkey_version": None, "redis_version": "unstable"},
        {"valkey_version": 9.1},
    ],
)
def test_nothing_is_said_of_one_that_is_right_or_tells_no_number(values: dict[str, object]) -> None:
    assert told(**values) == []


def test_nothing_is_said_of_one_that_tells_nothing() -> None:
    assert list(find_store_faults({})) == []


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"valkey_version": "7.2.11"}, "Valkey 7.2.11"),
        ({"valkey_version": None, "redis_version": "6.2.20"}, "Redis 6.2.20"),
        ({"valkey_version": None, "redis_version": "6.3.4"}, "Redis 6.3.4"),
        ({"valkey_version": None, "redis_version": "2.8.2402 " + "x" * 90}, "Redis 2.8.2402 xxxxxxxxxxx"),
    ],
)
def test_one_that_is_too_old_is_named(values: dict[str, object], name: str) -> None:
    assert told(**values) == [(f"{name} is too old: the platform is made for Redis 7.0 or Valkey 8.0 and newer.", True)]


def test_what_is_lost_when_it_is_full_and_when_it_ends_are_two_matters() -> None:
    found = told(maxmemory_policy="volatile-lru", aof_enabled=0)
    assert found == [
        ("Redis drops what it holds when it is full (maxmemory-policy volatile-lru).", True),
        ("Redis loses the rings of the moment when it ends (appendonly no).", False),
    ]
