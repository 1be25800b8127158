"""Every hostile document is read in this very process's care: it lives on, each has its reason, and nothing stays."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from apps.knowledge.domain.refusals import CODES, Refused
from apps.knowledge.extraction import Limits, extract, is_archive, unpack
from tests.hostile.documents import ARCHIVES, DOCUMENTS, HostileDocument

# Small ones, so that bombs end soon; time of the clock has room for a busy machine.
LIMITS = Limits(memory_bytes=512 << 20, cpu_seconds=15, wall_seconds=100, max_characters=2_000_000)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go. After each document: no byte, no descriptor and no process is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    own = psutil.Process()
    before = own.num_fds()
    children = {child.pid for child in own.children()}
    yield folder
    assert list(folder.iterdir()) == []
    assert own.num_fds() <= before
    assert {child.pid for child in own.children()} <= children


def judge(case: HostileDocument, code: str, message: str, began: float, size: int) -> None:
    sys.stdout.write(
        f"{case.name[:44]:<44} | {size / 1e3:>9,.0f} KB | {time.monotonic() - began:5.1f} s | {code or 'taken':<18} | {message[:110]}\n"
    )
    assert code in case.codes, f"{code}: {message}"
    assert code == "" or (code in CODES and message.endswith((".", "?")))
    assert case.told in message


@pytest.mark.parametrize("case", DOCUMENTS, ids=str)
def test_a_hostile_document_is_refused_with_its_reason(case: HostileDocument, tmp_path: Path) -> None:
    path = tmp_path / "document"
    size = path.write_bytes(case.make())
    began = time.monotonic()
    code = message = ""
    try:
        with path.open("rb") as document:
            extract(document, filename=case.filename, limits=LIMITS)
    except Refused as refused:
        code, message = refused.code, refused.message
    judge(case, code, message, began, size)


def take(path: Path, came: list[str]) -> None:
    with path.open("rb") as file:
        assert is_archive(file)
        came.extend(member.name for member in unpack(file, limits=LIMITS))


@pytest.mark.parametrize("case", ARCHIVES, ids=str)
def test_of_a_hostile_archive_nothing_comes(case: HostileDocument, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    size = path.write_bytes(case.make())
    began = time.monotonic()
    came: list[str] = []
    memory = psutil.Process().memory_info().rss
    with pytest.raises(Refused) as caught:
        take(path, came)
    judge(case, caught.value.code, caught.value.message, began, size)
    assert came == []
    assert psutil.Process().memory_info().rss - memory < 100 << 20
    assert os.path.getsize(path) == size  # noqa: PTH202 -- what was uploaded is as it was
