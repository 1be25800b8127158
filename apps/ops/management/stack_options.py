"""The environment as options for a stack; what an earlier stack wrote down plays no part."""

import os
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from apps.lib.environment import Environment, EnvironmentInvalidError
from apps.ops.domain.stack import StackOptions

_LAST_PORT = 65535


def read_options() -> StackOptions:
    env = Environment(os.environ, {})
    try:
        return StackOptions(
            home=Path(settings.AIPLATFORM_HOME),
            project=Path(settings.BASE_DIR),
            port=_port(env, "AIPLATFORM_PORT", 8000),
            flower_port=_port(env, "AIPLATFORM_FLOWER_PORT", 5555),
            database_url=os.environ.get("DATABASE_URL") or None,
            redis_url=os.environ.get("REDIS_URL") or None,
            has_local_model=env.flag("AIPLATFORM_LOCAL_MODEL", default=True),
            cores=os.cpu_count() or 1,
            worker_stop_seconds=env.seconds("AIPLATFORM_STOP_SECONDS", 30),
        )
    except EnvironmentInvalidError as error:
        raise CommandError(str(error)) from error


def _port(env: Environment, name: str, default: int) -> int:
    port = env.whole(name, default, at_least=1)
    if port > _LAST_PORT:
        raise CommandError(f"{name} must be a port from 1 to {_LAST_PORT}, not {port}.")
    other = {"AIPLATFORM_FLOWER_PORT": "AIPLATFORM_PORT"}.get(name)
    if other and env.whole(other, 8000, at_least=1) == port:
        raise CommandError(f"{other} and {name} are both {port}: give Flower another port.")
    return port
