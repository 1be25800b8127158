"""When one connection of the pool turns out dead, the others are looked at, too: after a restart of Postgres all of them are."""

import threading
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connection

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

log = structlog.get_logger(__name__)
_one_at_a_time = threading.Lock()


def replace_dead_connections() -> None:
    """In the background, so that who met the dead one is answered at once. Nothing where no pool is used."""
    pool: ConnectionPool[Any] | None = getattr(connection, "pool", None)
    if pool is not None and _one_at_a_time.acquire(blocking=False):
        threading.Thread(target=_check, args=(pool,), name="pool-care", daemon=True).start()


def _check(pool: "ConnectionPool[Any]") -> None:
    """Otherwise each of them costs somebody an answer 503."""
    try:
        pool.check()
    except Exception as error:  # noqa: BLE001 -- Postgres may be away in many ways; the next who meets it asks again
        log.warning("pool_not_checked", error=str(error))
    finally:
        _one_at_a_time.release()
