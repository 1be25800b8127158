"""Whatever becomes of the process that reads, its caller gets a reason, and nothing of it is left."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from apps.knowledge.extraction import Limits
from apps.knowledge.extraction import extract as extract_module
from tests.architecture.source import ROOT
from tests.knowledge.extraction.reading import read, refused

SMALL = Limits(max_characters=1000, memory_bytes=400 << 20, cpu_seconds=2, wall_seconds=100)


@pytest.fixture
def _bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules[extract_module.__module__], "_PROGRAM", "tests.knowledge.extraction.bad_child")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", "top-secret")


@pytest.mark.usefixtures("_bad")
@pytest.mark.parametrize(
    ("deed", "code", "message"),
    [
        ("segfault", "crashed", "SIGSEGV"), ("abort", "crashed", "SIGABRT"), ("killed", "out_of_memory", "more memory"),
        ("silent", "crashed", "exit status 0"), ("garbage", "crashed", "exit status 0"), ("half", "crashed", "exit status 0"),
        ("pour", "too_large", "more text"),
        ("spin", "timed_out", "longer than one document may (2 s)"),
        *((deed, "crashed", "its answer makes no sense")
          for deed in ("nothing", "list", "number", "kind", "field", "nul", "pages", "type", "code", "message")),
    ],
)  # fmt: skip
def test_a_process_that_goes_wrong_is_a_refusal(deed: str, code: str, message: str, tmp_path: Path) -> None:
    error = refused(b"x", deed, limits=SMALL)
    assert (error.code, message in error.message) == (code, True), error.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_bad")
def test_it_sees_nothing_of_ours() -> None:
    seen = json.loads(read(b"x", "look").sections[0].text)
    assert set(seen["environment"]) - {"LC_CTYPE"} == {"PYTHONPATH", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "READING"}
    assert "top-secret" not in json.dumps(seen)
    assert seen["folder"] == []
    # The last one is that of looking.
    assert seen["descriptors"] in ([0, 1, 2], [0, 1, 2, 3])


@pytest.mark.usefixtures("_bad")
def test_it_leaves_no_byte_on_the_disk(tmp_path: Path) -> None:
    assert read(b"x", "write:left").sections[0].text == "FileNotFoundError"
    assert list(tmp_path.iterdir()) == []
    assert read(b"x", f"write:{tmp_path}/left").sections[0].text == "OSError"
    assert (tmp_path / "left").stat().st_size == 0


def processes(token: str) -> list[int]:
    return [process.pid for process in psutil.process_iter(["cmdline", "status"])
            if token in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE]  # fmt: skip


def wait_until_gone(token: str) -> None:
    until = time.monotonic() + 60
    while processes(token):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.05)


@pytest.mark.usefixtures("_bad")
def test_what_takes_too_long_is_ended_with_all_that_it_started() -> None:
    token = uuid4().hex
    error = refused(b"x", f"children:{token}", limits=Limits(wall_seconds=3))
    assert (error.code, "(3 s)" in error.message) == ("timed_out", True)
    wait_until_gone(token)


# A worker that is killed while it waits: started as a program of its own, with the reading one's name in its arguments.
_WORKER = """
import sys
from pathlib import Path
from apps.knowledge.extraction import Limits, extract
sys.modules[extract.__module__]._PROGRAM = "tests.knowledge.extraction.bad_child"
extract(Path(sys.argv[1]).open("rb"), filename="spin", limits=Limits(cpu_seconds=100, wall_seconds=100))
"""


def test_when_its_caller_is_killed_it_goes_too(tmp_path: Path) -> None:
    document = tmp_path / "a.txt"
    document.write_bytes(b"x")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(document)], cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)})
    try:
        until = time.monotonic() + 60
        while not (children := psutil.Process(worker.pid).children()) or children[0].cpu_times().user < 0.5:
            assert time.monotonic() < until
            assert worker.poll() is None
            time.sleep(0.05)
    finally:
        worker.kill()
        worker.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert list(temporary.iterdir()) == []


def test_what_needs_too_much_memory() -> None:
    assert refused(b"x" * (95 << 20), limits=Limits(memory_bytes=200 << 20)).code == "out_of_memory"


def test_too_big_is_not_even_tried() -> None:
    error = refused(b"x" * 2000, limits=Limits(max_bytes=1000))
    assert (error.code, "0.0 MB" in error.message) == ("too_large", True)


def test_more_text_than_is_kept() -> None:
    assert refused(b"word " * 1000, limits=Limits(max_characters=1000)).code == "too_large"
