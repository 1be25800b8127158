"""Where one stands among the headings of a document without pages."""

from apps.knowledge.domain.sections import Section
from apps.knowledge.extraction.text import one_line

BEGINNING = "beginning"
_MOST_CHARACTERS = 200


class Outline:
    """The headings above what is read next."""

    def __init__(self) -> None:
        self._above: list[tuple[int, str]] = []

    @property
    def anchor(self) -> str:
        """Like "Chapter 2 > Limits"."""
        return " > ".join(title for _, title in self._above) or BEGINNING

    def heading(self, level: int, text: str) -> Section:
        """A heading ends those of its own level and below."""
        title = one_line(text)
        if title:
            self._above = [(above, name) for above, name in self._above if above < level]
            self._above.append((level, title[:_MOST_CHARACTERS]))
        return Section(text=title, kind="heading", level=level, anchor=self.anchor)

    def section(self, text: str, kind: str = "text") -> Section:
        return Section(text=text, kind=kind, anchor=self.anchor)
