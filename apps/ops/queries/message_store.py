"""Ask the Redis or Valkey behind REDIS_URL what it is."""

from collections.abc import Sequence

import redis

from apps.lib.redis_client import redis_client
from apps.ops.domain.message_store import StoreFault, find_store_faults

_SECTIONS = ("server", "memory", "persistence")


def read_store_faults() -> Sequence[StoreFault]:
    """What is wrong with it; nothing where we may not ask."""
    try:
        told = {name: value for section in _SECTIONS for name, value in redis_client().info(section).items()}
    except redis.exceptions.NoPermissionError:
        return ()
    except redis.RedisError as error:
        # The driver's own text names hosts and users.
        remedy = "Start it, or mend REDIS_URL. Meanwhile what is taken in waits."
        return (StoreFault(f"Redis does not answer ({type(error).__name__}).", remedy, stops=False),)
    return tuple(find_store_faults(told))
