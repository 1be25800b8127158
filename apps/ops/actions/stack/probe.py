"""Ask parts to do something real: a query, a PING, an answer over HTTP, a pong from a worker."""

import socket
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

from apps.lib.embedded import answers_ping, answers_sql
from apps.ops.domain.parts import WORKERS

_HTTP_TIMEOUT_SECONDS = 3.0
_PONG_TIMEOUT_SECONDS = 2.0
_PROBE_KEY = "aiplatform:probe"
# They are asked over the broker.
NODES = (*WORKERS, "beat")


def answers_http(url: str) -> bool:
    """True for a 200."""
    try:
        with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT_SECONDS) as answer:  # noqa: S310 -- our own http address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def takes_messages(redis_url: str) -> bool:
    """True when the broker answers and has room: otherwise the silence of workers says nothing about them."""
    try:
        with Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            client.lpush(_PROBE_KEY, 1)
            client.delete(_PROBE_KEY)
    except (RedisError, OSError):
        return False
    return True


def answering_nodes(redis_url: str, names: Collection[str]) -> set[str]:
    """Which of the workers (and beat) answer a ping by remote control: one question to all of them."""
    host = socket.gethostname()
    options = {"socket_timeout": 3, "socket_connect_timeout": 2}
    # An app of its own: the platform's was set up before the stack had an address.
    with Celery("probe", broker=redis_url, set_as_current=False, broker_transport_options=options) as app:
        try:
            answers = app.control.ping(destination=[f"{name}@{host}" for name in names], timeout=_PONG_TIMEOUT_SECONDS)
        except (OperationalError, RedisError, OSError):
            # kombu lets the client's own errors through when the broker goes away while it waits for the pongs.
            return set()
    return {node.split("@")[0] for answer in answers or () for node, pong in answer.items() if pong.get("ok") == "pong"}


def healthy_parts(names: Collection[str], environment: Mapping[str, str]) -> set[str]:
    """Which of these parts do their work now; `environment` is the running stack's."""
    port, flower_port = environment["AIPLATFORM_PORT"], environment["AIPLATFORM_FLOWER_PORT"]
    questions = {
        "postgres": lambda: answers_sql(environment["DATABASE_URL"]),
        "valkey": lambda: answers_ping(environment["REDIS_URL"]),
        "model": lambda: answers_http(environment["AIPLATFORM_LOCAL_MODEL_URL"].removesuffix("/v1") + "/health"),
        "web": lambda: answers_http(f"http://127.0.0.1:{port}/healthz"),
        "flower": lambda: answers_http(f"http://127.0.0.1:{flower_port}/flower/healthcheck"),
    }
    healthy = {name for name in names if name in questions and questions[name]()}
    nodes = [name for name in names if name in NODES]
    return healthy | (answering_nodes(environment["REDIS_URL"], nodes) if nodes else set())
