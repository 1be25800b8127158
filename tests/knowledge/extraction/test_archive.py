"""Many documents in one archive: each comes out once; of a bad archive nothing does, and nothing stays on the disk."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction import Limits, is_archive, unpack
from tests.knowledge.extraction.made import archive, pdf, word

WORD = word(lambda document: document.add_paragraph("Text."))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; whatever happens, nothing is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- counted, not walked
    yield folder
    assert list(folder.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208 -- see above


def unpacked(content: bytes, **limits: int) -> list[tuple[str, bytes]]:
    return [(member.name, member.stream.read()) for member in unpack(io.BytesIO(content), limits=Limits(**limits))]


def refusal(content: bytes, **limits: int) -> Refused:
    """The reason, before any member came."""
    came = []
    with pytest.raises(Refused) as caught:
        came.extend(member.name for member in unpack(io.BytesIO(content), limits=Limits(**limits)))
    assert came == []
    return caught.value


def test_documents_come_in_order_with_their_folders(temporary: Path) -> None:
    content = archive(
        ("a.txt", b"A"), ("folder/", b""), ("folder/b.docx", WORD), ("./c.pdf", pdf(["C"])),
        ("__MACOSX/._a.txt", b"x"), ("folder/.DS_Store", b"x"), ("Thumbs.db", b"x"),
    )  # fmt: skip
    found = unpacked(content)
    assert [(name, len(data)) for name, data in found] == [("a.txt", 1), ("folder/b.docx", len(WORD)), ("c.pdf", len(pdf(["C"])))]
    # While one is in hand there is no name for it on the disk, so that nothing can be left, whatever ends the process.
    for member in unpack(io.BytesIO(content), limits=Limits()):
        assert list(temporary.iterdir()) == []
        assert member.size > 0


def test_an_archive_in_an_archive_is_unpacked_and_no_deeper() -> None:
    inner = archive(("b.txt", b"B"), ("c.docx", WORD))
    assert [name for name, _ in unpacked(archive(("a.txt", b"A"), ("in.zip", inner)))] == [
        "a.txt",
        "in.zip/b.txt",
        "in.zip/c.docx",
    ]
    error = refusal(archive(("a.txt", b"A"), ("in.zip", archive(("deep.zip", inner)))))
    assert (error.code, "'in.zip/deep.zip'" in error.message) == ("bomb", True)


def test_who_stops_in_the_middle_leaves_nothing() -> None:
    members = unpack(io.BytesIO(archive(("a.txt", b"A"), ("b.txt", b"B"))), limits=Limits())
    assert next(members).name == "a.txt"
    del members


def link(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../etc/passwd", "leads out"), ("a/../../b", "leads out"), ("/etc/passwd", "leads out"), ("\\\\server\\share", "leads out"),
        ("..\\..\\b.txt", "leads out"), ("C:\\b.txt", "leads out"), ("c:b.txt", "leads out"), ("a\nb.txt", "control characters"),
        ("a" * 1001, "too long"), (link("a.txt", stat.S_IFLNK), "is a link"), (link("a.txt", stat.S_IFIFO), "is a link or device"),
        (link("a.txt", stat.S_IFCHR), "is a link or device"),
    ],
)  # fmt: skip
def test_names_that_are_traps(name: str | zipfile.ZipInfo, message: str) -> None:
    error = refusal(archive(("good.txt", b"A"), (name, b"B")))
    assert (error.code, message in error.message) == ("bad_name", True), error.message


def test_a_name_that_ends_before_it_ends() -> None:
    """What zipfile shows of it is only the part before the U+0000."""
    content = archive(("a.txt", b"A"), ("b.txt0/../x", b"B")).replace(b"b.txt0/../x", b"b.txt\0/../x")
    assert refusal(content).code == "bad_name"


def test_two_of_the_same_name() -> None:
    assert "'A.TXT'" in refusal(archive(("a.txt", b"A"), ("A.TXT", b"B"))).message


@pytest.mark.parametrize("second", ["a - b.txt", "a\u200b/b.txt", "a/b.txt ", "A/B.txt"])
def test_two_that_would_be_documents_of_the_same_name(second: str) -> None:
    assert refusal(archive(("a/b.txt", b"A"), (second, b"B"))).code == "bad_name"


def test_encrypted_members() -> None:
    content = bytearray(archive(("a.txt", b"A")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.find(mark) + offset, 1)
    assert refusal(bytes(content)).code == "encrypted"


def test_odd_packings() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a.txt", b"A" * 100)
    assert refusal(made.getvalue()).code == "unsupported_format"


def test_bombs_are_stopped_by_what_comes_out() -> None:
    zeros = archive(("a.txt", bytes(40 << 20)))
    error = refusal(zeros)
    assert (error.code, "100 times" in error.message) == ("bomb", True)
    assert refusal(zeros, max_ratio=10_000, max_unpacked_bytes=1 << 20).code == "bomb"
    assert refusal(zeros, max_ratio=10_000, max_bytes=1 << 20).code == "too_large"
    # Two that take the same bytes twice, as overlapping bombs do, count twice.
    twice = archive(("a.txt", os.urandom(600_000)), ("b.txt", os.urandom(600_000)))
    assert refusal(twice, max_unpacked_bytes=1_000_000).code == "bomb"


def test_a_member_that_lies_about_its_size() -> None:
    content = bytearray(archive(("a.txt", b"A" * 5_000_000)))
    struct.pack_into("<L", content, content.find(b"PK\x01\x02") + 24, 10)
    assert refusal(bytes(content)).code == "damaged"


def test_too_many_members() -> None:
    many = archive(*((f"{n}.txt", b"") for n in range(21)))
    assert refusal(many, max_members=20).code == "too_many_members"
    # A table that says it is huge is not even read.
    lie = bytearray(archive(("a.txt", b"A")))
    struct.pack_into("<L", lie, lie.find(b"PK\x05\x06") + 12, 1 << 30)
    assert refusal(bytes(lie)).code == "too_many_members"


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.99])
def test_an_archive_that_was_cut_short(kept: float) -> None:
    content = archive(*((f"{n}.txt", os.urandom(1000)) for n in range(20)))
    assert refusal(content[: int(len(content) * kept)]).code == "damaged"


def test_a_broken_member_is_found_before_the_first_comes() -> None:
    content = bytearray(archive(("a.txt", b"A"), ("b.txt", os.urandom(1000))))
    content[content.find(b"b.txt") + 100] ^= 0xFF
    assert refusal(bytes(content)).code == "damaged"


def test_an_archive_of_nothing() -> None:
    assert refusal(archive(("folder/", b""))).code == "empty"


def test_what_is_an_archive_of_documents() -> None:
    for content, expected in ((archive(("a.txt", b"A")), True), (WORD, False), (pdf(["A"]), False), (archive(("mimetype", b"x")), False)):
        assert is_archive(io.BytesIO(content)) is expected
    with pytest.raises(Refused):
        is_archive(io.BytesIO(archive(("a.txt", b"A"))[:30]))
