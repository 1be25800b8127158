"""The states of items and jobs, and which may follow which. ARCHITECTURE.md shows the same; a test compares the two."""

from enum import StrEnum


class Lane(StrEnum):
    """A priority, with a queue of its own."""

    INTERACTIVE = "interactive"
    DEFAULT = "default"
    BULK = "bulk"


class ItemState(StrEnum):
    """Where an item stands. Only claim begins a run, only settle ends one."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class JobStatus(StrEnum):
    """Where a job stands."""

    VALIDATING = "validating"
    FAILED = "failed"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHING = "finishing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ITEM_TRANSITIONS: dict[ItemState, frozenset[ItemState]] = {
    ItemState.WAITING: frozenset({ItemState.RUNNING, ItemState.CANCELLED, ItemState.EXPIRED}),
    ItemState.RUNNING: frozenset({ItemState.DONE, ItemState.DEAD, ItemState.WAITING}),
    ItemState.DEAD: frozenset({ItemState.WAITING}),
    ItemState.DONE: frozenset(),
    ItemState.CANCELLED: frozenset(),
    ItemState.EXPIRED: frozenset(),
}

JOB_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.VALIDATING: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLING}),
    JobStatus.RUNNING: frozenset({JobStatus.PAUSED, JobStatus.FINISHING, JobStatus.CANCELLING}),
    JobStatus.PAUSED: frozenset({JobStatus.RUNNING, JobStatus.FINISHING, JobStatus.CANCELLING}),
    JobStatus.CANCELLING: frozenset({JobStatus.CANCELLED}),
    JobStatus.FINISHING: frozenset({JobStatus.COMPLETED, JobStatus.EXPIRED, JobStatus.CANCELLING}),
    JobStatus.FAILED: frozenset(),
    JobStatus.COMPLETED: frozenset({JobStatus.RUNNING}),
    JobStatus.EXPIRED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

OPEN_ITEM_STATES = (ItemState.WAITING, ItemState.RUNNING)
