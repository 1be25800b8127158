"""The real web process with a file storage of its own, and the official SDK on it."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from django.conf import settings
from django.db import connection
from openai import OpenAI

from apps.lib.embedded import wait_until
from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from tests.factories.accounts import make_api_key

if TYPE_CHECKING:
    import subprocess

LIMIT = 40 * 1024 * 1024


@dataclass(frozen=True)
class Server:
    """A running web process and the folder it keeps files in."""

    process: "subprocess.Popen[bytes]"
    port: int
    storage: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stored(self) -> list[str]:
        """Names of the files in the storage, the spool of incoming uploads included."""
        return sorted(str(path.relative_to(self.storage)) for path in self.storage.rglob("*") if path.is_file())

    def wait_until_stored(self, names: list[str]) -> None:
        """These and no others, and none of them open: what was refused is put away just after its answer has gone out."""
        wait_until(lambda: (self.open_files(), self.stored()) == ([], names), process=self.process, what="the end of what was refused")

    def open_files(self) -> list[str]:
        """What the process holds open of the storage, deleted or not."""
        return [file.path for file in psutil.Process(self.process.pid).open_files() if file.path.startswith(str(self.storage))]


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("web")
    port = free_port()
    database = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{connection.settings_dict['NAME']}"
    variables = os.environ | {
        "AIPLATFORM_ROLE": "web",
        "AIPLATFORM_STORAGE": str(home / "files"),
        "AIPLATFORM_MAX_FILE_BYTES": str(LIMIT),
        "DATABASE_URL": database,
        "DATABASE_POOL": "2",
    }
    with (home / "log").open("wb") as log:
        command = [sys.executable, "-m", "uvicorn", "aiplatform.asgi:application", "--port", str(port), "--log-level", "warning"]
        process = start_process(command, environment=variables, folder=settings.BASE_DIR, output=log)
        try:
            wait_until(lambda: _answers(f"http://127.0.0.1:{port}/v1/files"), process=process, what="the web process")
            yield Server(process, port, home / "files")
        finally:
            stop_process(process, stop_signal=signal.SIGTERM, grace_seconds=10)


@pytest.fixture
def secret() -> str:
    return make_api_key()[1]


@pytest.fixture
def client(server: Server, secret: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key=secret, max_retries=0, _strict_response_validation=True) as sdk:
        yield sdk
