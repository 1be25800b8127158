"""Templates: texts with `{{ name }}` in them, filled in one pass.

A value is data: it is never read for placeholders, nor can it close a tag.
Nothing is evaluated: no expressions, loops or filters. What is no `{{ name }}` is text, braces included.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from apps.prompts.domain.markup import escape_attribute, escape_text, guard, is_name_of_tag, is_within_tag, tag_names
from apps.prompts.domain.variables import NAME, VariableRefusedError

_PLACEHOLDER = re.compile(r"\{\{[ \t]*(" + NAME.pattern + r")[ \t]*\}\}")
# Stands for a value where only its being there matters.
_VALUE = "x"
_TEMPLATES_KEPT = 256
# A value may stand in many places: what comes of it stays within what a request may be.
MOST_FILLED = 4_000_000


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a value goes; `is_attribute`: inside a tag."""

    name: str
    is_attribute: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut at its placeholders; `guarding` finds what a value may not write, None when the text marks no sections."""

    pieces: tuple[str | Placeholder, ...]
    guarding: re.Pattern[str] | None

    @property
    def names(self) -> tuple[str, ...]:
        """The variables it uses, each once, in order."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Placeholder)))

    def fill(self, texts: Mapping[str, str]) -> str:
        """VariableRefusedError when the text gets longer than a request may be."""
        size = 0
        for piece in self.pieces:
            size += len(piece) if isinstance(piece, str) else len(texts[piece.name])
            if size > MOST_FILLED:
                name = "" if isinstance(piece, str) else piece.name
                raise VariableRefusedError(name, f"With its variables the text is longer than {MOST_FILLED:,} characters.")
        return "".join(piece if isinstance(piece, str) else self._value(piece, texts[piece.name]) for piece in self.pieces)

    def _value(self, place: Placeholder, value: str) -> str:
        if place.is_attribute:
            return escape_attribute(value)
        return escape_text(value, self.guarding) if self.guarding else value


@lru_cache(maxsize=_TEMPLATES_KEPT)
def read_template(text: str) -> Template:
    """VariableRefusedError when a placeholder would write the name of a tag."""
    tags = tag_names(_PLACEHOLDER.sub(_VALUE, text))
    return Template(tuple(_pieces(text, has_tags=bool(tags))), guard(tags) if tags else None)


def _pieces(text: str, *, has_tags: bool) -> Iterator[str | Placeholder]:
    parts = _PLACEHOLDER.split(text)
    literals, names = parts[::2], parts[1::2]
    before = ""
    for number, name in enumerate(names):
        before = (before[before.rfind("<") :] if "<" in before else "") + literals[number]
        if has_tags and is_name_of_tag(before):
            raise VariableRefusedError(name, f"{name} stands in the name of a tag; put it between tags, or as the value of an attribute.")
        if literals[number]:
            yield literals[number]
        yield Placeholder(name, is_attribute=has_tags and is_within_tag(before, _VALUE.join(literals[number + 1 :])))
        before += _VALUE
    if literals[-1]:
        yield literals[-1]
