"""Read bytes as a document, or be refused."""

from tempfile import TemporaryFile

import pytest

from apps.knowledge.domain.refusals import CODES, Refused
from apps.knowledge.domain.sections import Extracted
from apps.knowledge.extraction import Limits, extract

# A busy machine takes its time; what a limit does is shown with limits of its own.
LIMITS = Limits(cpu_seconds=60, wall_seconds=110)


def read(content: bytes, filename: str = "a.txt", *, limits: Limits = LIMITS) -> Extracted:
    with TemporaryFile() as file:
        file.write(content)
        file.flush()
        return extract(file, filename=filename, limits=limits)


def refused(content: bytes, filename: str = "a.txt", *, limits: Limits = LIMITS) -> Refused:
    with pytest.raises(Refused) as caught:
        read(content, filename, limits=limits)
    assert caught.value.code in CODES
    return caught.value


def shown(extracted: Extracted) -> list[tuple[str, str, str]]:
    """(kind, text, anchor) of each section; headings with their level."""
    return [(f"{section.kind} {section.level or ''}".strip(), section.text, section.anchor) for section in extracted.sections]
