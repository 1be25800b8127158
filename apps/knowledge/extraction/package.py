"""Documents that are zip archives inside (DOCX, PPTX, XLSX): looked at before anything big is unpacked."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from apps.knowledge.domain.formats import DOCX, PPTX, XLSX
from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction.source import Source
from apps.lib.zip_packages import DAMAGED_ZIP, PackageFlaw, PackageLimits, find_package_flaw

_MAIN_PARTS = {"word/document.xml": DOCX, "ppt/presentation.xml": PPTX, "xl/workbook.xml": XLSX}
_FREE_PART_BYTES = 32 << 20


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
    bounds = PackageLimits(
        max_parts=limits.max_members,
        max_unpacked_bytes=limits.max_unpacked_bytes,
        max_ratio=limits.max_ratio,
        free_part_bytes=_FREE_PART_BYTES,
    )
    if flaw := find_package_flaw(archive, bounds):
        raise Refused(*_refusal(flaw, len(archive.infolist()), limits))


def _refusal(flaw: PackageFlaw, parts: int, limits: Limits) -> tuple[str, str]:
    """Code and message."""
    match flaw:
        case PackageFlaw.PARTS:
            return "bomb", f"It has {parts:,} parts inside; no document needs more than {limits.max_members:,}."
        case PackageFlaw.SIZE:
            return "bomb", f"It unpacks to more than {limits.max_unpacked_bytes / 1e6:,.0f} MB. Split it, or leave pictures out."
        case PackageFlaw.SWOLLEN:
            return "bomb", "It unpacks to far more than a document needs. Open it with its program and save it anew."
        case PackageFlaw.ENCRYPTED:
            return "encrypted", "It is encrypted. Save it without a password."
        case PackageFlaw.MACROS:
            return "unsupported_format", "It holds macros. Save it without them, as .docx, .pptx or .xlsx."
        case PackageFlaw.ENTITIES:
            return "entities", "It declares XML entities, which no office program writes. Open it with its program and save it anew."
