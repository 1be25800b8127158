"""What a stack is, was asked to be, and tells about itself; and the file that remembers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

SUPERVISOR = "supervisor"
# Only true while the stack runs: with them gone, a command of a stopped stack can't reach a stranger on the same port.
_ADDRESSES = ("DATABASE_URL", "REDIS_URL", "AIPLATFORM_PORT", "AIPLATFORM_FLOWER_PORT", "AIPLATFORM_LOCAL_MODEL_URL")


class StackError(Exception):
    """The stack can't be started, stopped or asked; the message says what to do."""


class PartState(StrEnum):
    """Where a part stands, in the words shown to people."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What was asked for. A URL that is None means: start one of our own."""

    home: Path
    project: Path
    port: int
    flower_port: int
    database_url: str | None
    redis_url: str | None
    has_local_model: bool
    cores: int
    worker_stop_seconds: float


@dataclass(frozen=True, slots=True)
class PartReport:
    """One part's news."""

    part: str
    state: PartState
    log: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a healthy stack is found; the keys of `up --detach`'s answer."""

    url: str
    admin_url: str
    flower_url: str
    database_url: str
    redis_url: str
    pids: Mapping[str, int]
    admin_password: str = ""

    def for_programs(self) -> dict[str, Any]:
        """The one JSON object that `up --detach` prints."""
        return {
            "url": self.url,
            "admin_url": self.admin_url,
            "flower_url": self.flower_url,
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "pids": dict(self.pids),
        }


@dataclass(slots=True)
class StackState:
    """The content of stack.json. Secrets stay over restarts; addresses and pids only hold while the stack runs."""

    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, tuple[int, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "secrets": self.secrets,
            "ports": self.ports,
            "pids": {name: list(value) for name, value in self.pids.items()},
        }

    def forget_addresses(self) -> None:
        """The stack has stopped: keep the secrets, drop what would lead elsewhere."""
        for name in _ADDRESSES:
            self.environment.pop(name, None)
        self.pids.clear()


def state_from_json(value: Mapping[str, Any]) -> StackState:
    return StackState(
        environment=dict(value.get("environment", {})),
        secrets=dict(value.get("secrets", {})),
        ports=dict(value.get("ports", {})),
        pids={name: (int(pid), float(started_at)) for name, (pid, started_at) in value.get("pids", {}).items()},
    )
