"""A program in the place of the one that reads: it does what a file that has taken it over might do. The file's name says which."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson

from apps.knowledge.domain.limits import Limits
from apps.lib.confine import bound, die_with

_GOOD = {"media_type": "text/plain", "title": "a", "pages": 1, "language": ""}


def say(answer: object) -> None:
    os.write(1, orjson.dumps(answer))


def spin(_: str) -> None:
    while True:
        pass


def look(_: str) -> None:
    """What it can see of us."""
    seen = {"environment": dict(os.environ), "folder": os.listdir(), "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))}  # noqa: PTH208 -- names
    say({"extracted": {**_GOOD, "sections": [{"text": json.dumps(seen)}]}})


def have_children(token: str) -> None:
    """One that outlives it and holds its end of the pipe."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", token])
    time.sleep(600)


def pour(_: str) -> None:
    while True:
        os.write(1, b"x" * 100_000)


def write(path: str) -> None:
    """A byte; the system ends it for that, or refuses."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        Path(path).write_bytes(b"x")
    except OSError as error:
        say({"extracted": {**_GOOD, "sections": [{"text": type(error).__name__}]}})


DEEDS = {
    "spin": spin,
    "look": look,
    "children": have_children,
    "pour": pour,
    "write": write,
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": lambda _: os.abort(),
    "killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "silent": lambda _: None,
    "garbage": lambda _: os.write(1, b"\xff{]"),
    "half": lambda _: os.write(1, b'{"extracted": {"media_'),
    "nothing": lambda _: say({"extracted": {**_GOOD, "sections": []}}),
    "list": lambda _: say([1]),
    "number": lambda _: say({"extracted": {**_GOOD, "sections": [{"text": 1}]}}),
    "kind": lambda _: say({"extracted": {**_GOOD, "sections": [{"text": "a", "kind": "spell"}]}}),
    "field": lambda _: say({"extracted": {**_GOOD, "sections": [{"text": "a", "owner": "me"}]}}),
    "nul": lambda _: say({"extracted": {**_GOOD, "sections": [{"text": "a\0b"}]}}),
    "pages": lambda _: say({"extracted": {**_GOOD, "pages": -1, "sections": [{"text": "a"}]}}),
    "type": lambda _: say({"extracted": {**_GOOD, "media_type": "text/x", "sections": [{"text": "a"}]}}),
    "code": lambda _: say({"refused": ["sudo", "x"]}),
    "message": lambda _: say({"refused": ["damaged", 1]}),
}

if __name__ == "__main__":
    reading = orjson.loads(os.environ["READING"])
    die_with(reading["parent"])
    limits = Limits(**reading["limits"])
    bound(memory_bytes=limits.memory_bytes, cpu_seconds=limits.cpu_seconds, grace_seconds=1, descriptors=64)
    deed, _, rest = reading["filename"].partition(":")
    DEEDS[deed](rest)
