"""A whole stack as a program, with a home and ports of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.lib.ports import free_port


class Stack:
    """`manage.py` with a home and ports of its own, without the local model."""

    def __init__(self, home: Path) -> None:
        outside = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
        own = {
            "AIPLATFORM_HOME": str(home),
            "AIPLATFORM_PORT": str(free_port()),
            "AIPLATFORM_FLOWER_PORT": str(free_port()),
            "AIPLATFORM_LOCAL_MODEL": "off",
        }
        self.home = home
        self.environment = outside | own

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def state(self) -> dict[str, Any]:
        """What it keeps of itself: environment, secrets, pids."""
        found: dict[str, Any] = json.loads((self.home / "stack.json").read_text())
        return found

    def up(self) -> dict:
        done = self.manage("up", "--detach")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "a home")
    yield made
    made.manage("down")
