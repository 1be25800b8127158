"""What is wrong with a package is found by its table, before anything big is unpacked."""

import io
import zipfile

import pytest

from apps.lib.zip_packages import PackageFlaw, PackageLimits, find_package_flaw

LIMITS = PackageLimits(max_parts=3, max_unpacked_bytes=40_000, max_ratio=10, free_part_bytes=1_000)
XML = "<x>said</x>"
TYPES = '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'


def package(parts: dict[str, bytes], *, flag: int = 0) -> zipfile.ZipFile:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    opened = zipfile.ZipFile(made)
    for part in opened.infolist():
        part.flag_bits |= flag
    return opened


@pytest.mark.parametrize(
    ("flaw", "parts", "flag"),
    [
        (None, {"a.xml": XML.encode(), "b.bin": bytes(1_000), "c.xml": b"no XML"}, 0),
        (PackageFlaw.PARTS, dict.fromkeys(["a", "b", "c", "d"], b""), 0),
        (PackageFlaw.SIZE, {"a": bytes(20_000), "b": bytes(20_001)}, 0),
        (PackageFlaw.SWOLLEN, {"a": bytes(1_001)}, 0),
        (PackageFlaw.ENCRYPTED, {"a.xml": XML.encode()}, 1),
        (PackageFlaw.MACROS, {"xl/vbaProject.bin": b""}, 0),
        (PackageFlaw.ENTITIES, {"a.xml": XML.encode(), "b.XML": TYPES.encode()}, 0),
        (PackageFlaw.ENTITIES, {"_rels/.rels": TYPES.encode("utf-16")}, 0),
    ],
)
def test_the_first_flaw_is_told(flaw: PackageFlaw | None, parts: dict[str, bytes], flag: int) -> None:
    with package(parts, flag=flag) as archive:
        assert find_package_flaw(archive, LIMITS) == flaw
