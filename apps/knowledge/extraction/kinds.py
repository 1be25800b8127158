"""What a file is: by its content; among kinds of text, by its name as well."""

from collections.abc import Callable

from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted
from apps.knowledge.extraction.decoding import looks_binary
from apps.knowledge.extraction.plain import read_plain
from apps.knowledge.extraction.source import Source


def reader_of(source: Source) -> Callable[[Source], Extracted]:
    """The function that reads it; Refused when none does."""
    if looks_binary(source.content):
        raise Refused("unsupported_format", "This is no format that is read here.")
    return read_plain
