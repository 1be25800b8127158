"""Documents that are zip archives inside (DOCX, PPTX, XLSX): looked at before anything big is unpacked."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from xml.parsers import expat

from apps.knowledge.domain.formats import DOCX, PPTX, XLSX
from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction.source import Source

# What zipfile raises for a file that somebody sent, each for another kind of damage: a broken table (BadZipFile), broken or cut contents
# (zlib.error, EOFError), places before the beginning (OSError of a file, ValueError of memory), a part behind a password or packed in a
# way that it can't unpack (RuntimeError).
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError)
_MAIN_PARTS = {"word/document.xml": DOCX, "ppt/presentation.xml": PPTX, "xl/workbook.xml": XLSX}
_BIG_PART_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 16
_ENCRYPTED = 1


@contextmanager
def open_package(source: Source) -> Iterator[zipfile.ZipFile]:
    """The archive. What zipfile raises on it, each for another kind of damage, becomes a refusal."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
            yield archive
    except DAMAGED_ZIP as error:
        message = "It is a damaged archive, or was cut short on its way. Open it with its program and save it anew."
        raise Refused("damaged", message) from error


def package_type(archive: zipfile.ZipFile) -> str | None:
    """The media type of the document that it is; None for any other archive."""
    names = set(archive.namelist())
    return next((media_type for part, media_type in _MAIN_PARTS.items() if part in names), None)


def check_package(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Refused when it unpacks to too much, is encrypted, runs programs, or declares XML entities."""
    parts = archive.infolist()
    if len(parts) > limits.max_members:
        raise Refused("bomb", f"It has {len(parts):,} parts inside; no document needs more than {limits.max_members:,}.")
    if sum(part.file_size for part in parts) > limits.max_unpacked_bytes:
        raise Refused("bomb", f"It unpacks to more than {limits.max_unpacked_bytes / 1e6:,.0f} MB. Split it, or leave pictures out.")
    if any(part.file_size > max(_BIG_PART_BYTES, part.compress_size * limits.max_ratio) for part in parts):
        raise Refused("bomb", "It unpacks to far more than a document needs. Open it with its program and save it anew.")
    if any(part.flag_bits & _ENCRYPTED for part in parts):
        raise Refused("encrypted", "It is encrypted. Save it without a password.")
    if any(part.filename.lower().endswith("vbaproject.bin") for part in parts):
        raise Refused("unsupported_format", "It holds macros. Save it without them, as .docx, .pptx or .xlsx.")
    for part in parts:
        if part.filename.lower().endswith((".xml", ".rels")) and _declares_types(archive, part):
            raise Refused(
                "entities", "It declares XML entities, which no office program writes. Open it with its program and save it anew."
            )


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
