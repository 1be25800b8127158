"""The Celery app with its gate taken out, for comparison alone: every call goes out at once, and nothing is learnt from it."""

from collections import deque
from typing import Any, Self

from celery.signals import worker_process_init

from aiplatform.celery import app

__all__ = ["app"]


class _Nothing:
    def settle(self, completion: Any, *_: object) -> Any:
        return completion

    def abandon(self) -> None: ...


class OpenGate:
    """What the pump and `complete` ask of a gate, answered by yes."""

    def __init__(self, **_: object) -> None:
        self.nothing = _Nothing()
        self.happened: deque[Any] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def allowances(self, _: object) -> dict[Any, int]:
        return {}

    def follow(self, _: object) -> None: ...

    def newest(self, route: Any) -> Any:
        return route

    def is_open(self, _: object) -> bool:
        return True

    async def admit(self, *_: object, **__: object) -> _Nothing:
        return self.nothing


@worker_process_init.connect
def _take_out(**_: object) -> None:
    from apps.jobs.actions import pump  # noqa: PLC0415 -- the tables' classes need Django to be set up

    pump.Gate = OpenGate
