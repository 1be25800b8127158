"""Figures for Redis: sent together, and while it is silent nobody waits for it."""

import time

import pytest
import redis

from apps.lib import redis_client as module
from apps.lib.redis_client import figures_pipeline, redis_client

KEY = "aiplatform:test-figures"


def add_one() -> None:
    with figures_pipeline() as pipeline:
        pipeline.incr(KEY)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Rest, "until", 0.0)
    monkeypatch.setattr(module, "_REST_SECONDS", 600.0)


def test_figures_are_sent_at_the_end_of_the_block() -> None:
    redis_client().delete(KEY)
    add_one()
    assert redis_client().get(KEY) == "1"


def test_a_redis_that_failed_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    redis_client().delete(KEY)
    with monkeypatch.context() as gone:
        gone.setattr(module, "_hasty_client", lambda: redis.Redis.from_url("redis://127.0.0.1:1/0"))
        with pytest.raises(redis.ConnectionError, match=":1"):
            add_one()
    with pytest.raises(redis.ConnectionError, match="left alone"):
        add_one()
    monkeypatch.setattr(module._Rest, "until", time.monotonic())
    add_one()
    assert redis_client().get(KEY) == "1"
