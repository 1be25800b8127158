"""What a reader is given, and what it may give back."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Section
from apps.knowledge.extraction.text import one_line

_MOST_TITLE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a document, by the name that its sender gave it."""

    content: bytes
    filename: str
    limits: Limits

    def title(self, *found: str | None) -> str:
        """The first that says something; else the name of the file, without its ending."""
        named = next(filter(None, (one_line(text or "") for text in found)), "")
        return (named or one_line(PurePosixPath(self.filename).stem))[:_MOST_TITLE_CHARACTERS]

    def collect(self, sections: Iterable[Section], *, may_be_empty: bool = False) -> tuple[Section, ...]:
        """Those that say something; Refused as soon as they say more than is kept, or at the end when nothing is said."""
        kept, characters = [], 0
        for section in sections:
            characters += len(section.text)
            if characters > self.limits.max_characters:
                message = f"It has more than {self.limits.max_characters:,} characters of text. Split it into several documents."
                raise Refused("too_large", message)
            if section.text.strip():
                kept.append(section)
        if not (kept or may_be_empty):
            raise Refused("empty", "There is no text in it.")
        return tuple(kept)

    def check_pages(self, pages: int, word: str) -> None:
        """Refused when there are too many."""
        if pages > self.limits.max_pages:
            message = f"It has {pages:,} {word}; {self.limits.max_pages:,} at most. Split it into several documents."
            raise Refused("too_many_pages", message)
