"""Packages: zip archives that are one document inside (DOCX, PPTX, XLSX). Looked at before anything big of them is unpacked.

By the archive's own table: zipfile never gives out more of a part than stands there.
"""

import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from xml.parsers import expat

# What zipfile raises for a file that somebody sent, each for another kind of damage: a broken table (BadZipFile), broken or cut contents
# (zlib.error, EOFError), places before the beginning (OSError of a file, ValueError of memory), a part behind a password or packed in a
# way that it can't unpack (RuntimeError).
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError)
_CHUNK_BYTES = 1 << 16
_ENCRYPTED = 1
_MACROS = "vbaproject.bin"


class PackageFlaw(StrEnum):
    """Why a package is not unpacked."""

    PARTS = "too many parts"
    SIZE = "too big when unpacked"
    SWOLLEN = "a part is far bigger than it is packed"
    ENCRYPTED = "encrypted"
    MACROS = "macros"
    ENTITIES = "XML entities"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageLimits:
    """Parts of up to `free_part_bytes` may be packed as tightly as they like, bigger ones `max_ratio` times."""

    max_parts: int
    max_unpacked_bytes: int
    max_ratio: int
    free_part_bytes: int


def is_encrypted(part: zipfile.ZipInfo) -> bool:
    """Whether it can't be read without a password."""
    return bool(part.flag_bits & _ENCRYPTED)


def find_package_flaw(archive: zipfile.ZipFile, limits: PackageLimits) -> PackageFlaw | None:
    """The first, None for a good one; one of DAMAGED_ZIP is raised for an archive that is broken."""
    parts = archive.infolist()
    if len(parts) > limits.max_parts:
        return PackageFlaw.PARTS
    if sum(part.file_size for part in parts) > limits.max_unpacked_bytes:
        return PackageFlaw.SIZE
    if any(part.file_size > max(limits.free_part_bytes, part.compress_size * limits.max_ratio) for part in parts):
        return PackageFlaw.SWOLLEN
    if any(map(is_encrypted, parts)):
        return PackageFlaw.ENCRYPTED
    if any(part.filename.lower().endswith(_MACROS) for part in parts):
        return PackageFlaw.MACROS
    written = (part for part in parts if part.filename.lower().endswith((".xml", ".rels")))
    return PackageFlaw.ENTITIES if any(_declares_types(archive, part) for part in written) else None


def _declares_types(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Looks at what stands before the first element, in whatever encoding; the rest is not read."""
    found: list[bool] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: found.append(True)
    parser.StartElementHandler = lambda *_: found.append(False)
    with archive.open(part) as content:
        while not found and (chunk := content.read(_CHUNK_BYTES)):
            try:
                parser.Parse(chunk)
            except expat.ExpatError:
                break  # whoever reads this part says that it is no XML
    return bool(found) and found[0]
