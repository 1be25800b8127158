"""The app's name for Django, and what `check --deploy` asks about the platform itself."""

import os
from typing import Any

from django.apps import AppConfig
from django.core import checks

from apps.lib.failpoints import VARIABLE


class OpsConfig(AppConfig):
    """Registers apps.ops."""

    name = "apps.ops"

    def ready(self) -> None:
        checks.register(refuse_failpoints, deploy=True)


def refuse_failpoints(**_: Any) -> list[checks.CheckMessage]:
    """Failpoints are for tests: with them a file can kill a worker."""
    if VARIABLE not in os.environ:
        return []
    return [checks.Error(f"{VARIABLE} is set: any file in that folder can stop a process.", hint="Unset it.", id="aiplatform.E001")]
