"""The environment as options for a stack; what an earlier stack wrote down plays no part."""

import os
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from apps.lib.environment import Environment, EnvironmentInvalidError
from apps.ops.domain.stack import StackOptions


def read_options() -> StackOptions:
    env = Environment(os.environ, {})
    try:
        return StackOptions(
            home=Path(settings.AIPLATFORM_HOME),
            project=Path(settings.BASE_DIR),
            port=env.whole("AIPLATFORM_PORT", 8000, at_least=1),
            flower_port=env.whole("AIPLATFORM_FLOWER_PORT", 5555, at_least=1),
            database_url=os.environ.get("DATABASE_URL") or None,
            redis_url=os.environ.get("REDIS_URL") or None,
            has_local_model=env.flag("AIPLATFORM_LOCAL_MODEL", default=True),
            cores=os.cpu_count() or 1,
            worker_stop_seconds=env.seconds("AIPLATFORM_STOP_SECONDS", 30),
        )
    except EnvironmentInvalidError as error:
        raise CommandError(str(error)) from error
