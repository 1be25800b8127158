"""What a Redis or Valkey must be to carry rings and limits, and what one that isn't is told by."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

NO_EVICTION = "noeviction"
# By the field that tells the number; a Valkey tells that of the Redis which it is compatible with, too.
_OLDEST = (("valkey_version", "Valkey", (8, 0)), ("redis_version", "Redis", (7, 0)))
_NUMBER = re.compile(r"(\d{1,6})\.(\d{1,6})")


@dataclass(frozen=True, slots=True)
class StoreFault:
    """What is wrong, and what to do. With one that `stops` nothing is started: work would wait for ever, or fail."""

    what: str
    remedy: str
    stops: bool


def find_store_faults(told: Mapping[str, object]) -> Iterator[StoreFault]:
    """By what INFO tells; what a server doesn't tell, as managed ones may, is taken to be right."""
    yield from _find_age(told)
    policy = str(told.get("maxmemory_policy", NO_EVICTION))
    if policy != NO_EVICTION:
        what = f"Redis drops what it holds when it is full (maxmemory-policy {policy})."
        yield StoreFault(what, f"Set maxmemory-policy to {NO_EVICTION}: rings and limits must stay.", stops=True)
    if str(told.get("aof_enabled", 1)) == "0":
        what = "Redis loses the rings of the moment when it ends (appendonly no)."
        yield StoreFault(what, "Set appendonly to yes. Without it no work is lost, but it waits until the sweep finds it.", stops=False)


def _find_age(told: Mapping[str, object]) -> Iterator[StoreFault]:
    for field, name, oldest in _OLDEST:
        number = _NUMBER.match(str(told.get(field, "")))
        if number is None:
            continue
        if (int(number[1]), int(number[2])) < oldest:
            wanted = " or ".join(f"{name} {major}.{minor}" for _, name, (major, minor) in reversed(_OLDEST))
            what = f"{name} {str(told[field])[:20]} is too old: the platform is made for {wanted} and newer."
            yield StoreFault(what, "Update it; it also lacks what has been mended of its weaknesses since.", stops=True)
        return
