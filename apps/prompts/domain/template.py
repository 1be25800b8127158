"""Templates: texts with `{{ name }}` in them, filled in one pass.

A value is data: it is never read for placeholders, nor can it close or open a tag, be it one of the text beside which it is sent.
Nothing is evaluated: no expressions, loops or filters. What is no `{{ name }}` is text, braces included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from apps.prompts.domain.markup import Guard, Tagged, escape_attribute, guard, is_name_of_tag, is_within_tag, tag_names
from apps.prompts.domain.variables import NAME, VariableRefusedError

_PLACEHOLDER = re.compile(r"\{\{[ \t]*(" + NAME.pattern + r")[ \t]*\}\}")
# Stands for a value where only its being there matters.
_VALUE = "x"
_TEMPLATES_KEPT = 256
# A value may stand in many places: what comes of it stays within what a request may be.
MOST_FILLED = 4_000_000


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a value goes; `is_attribute`: inside a tag. `angle`: what stands before it and would begin a tag together with it."""

    name: str
    is_attribute: bool = False
    angle: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut at its placeholders, and the tags that it marks sections with."""

    pieces: tuple[str | Placeholder, ...]
    tags: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables it uses, each once, in order."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Placeholder)))

    def fill(self, texts: Mapping[str, str | Tagged]) -> str:
        """Alone. VariableRefusedError when the text gets longer than a request may be."""
        return fill_together([self], texts)[0]

    def fill_guarded(self, texts: Mapping[str, str | Tagged], guarding: Guard | None) -> str:
        """The same; without a guard there are no tags that values are to be kept from."""
        size = 0
        for piece in self.pieces:
            size += len(piece) if isinstance(piece, str) else len(texts[piece.name])
            if size > MOST_FILLED:
                name = "" if isinstance(piece, str) else piece.name
                raise VariableRefusedError(name, f"With its variables the text is longer than {MOST_FILLED:,} characters.")
        return "".join(piece if isinstance(piece, str) else _value(piece, texts[piece.name], guarding) for piece in self.pieces)


def fill_together(templates: Sequence[Template], texts: Mapping[str, str | Tagged]) -> list[str]:
    """What is sent together is guarded together: no value writes a tag of any of these texts, or one that another value is made of.

    VariableRefusedError as for one.
    """
    used = {name for template in templates for name in template.names}
    made = {value.tag for name, value in texts.items() if name in used and isinstance(value, Tagged)}
    tags = frozenset(made).union(*(template.tags for template in templates))
    guarding = guard(tags) if tags else None
    return [template.fill_guarded(texts, guarding) for template in templates]


def _value(place: Placeholder, value: str | Tagged, guarding: Guard | None) -> str:
    if isinstance(value, Tagged):
        made = value.render(guarding or guard(frozenset({value.tag})))
        return escape_attribute(made) if place.is_attribute else place.angle + made
    if place.is_attribute:
        return escape_attribute(value)
    return guarding.escape(place.angle + value) if guarding else place.angle + value


@lru_cache(maxsize=_TEMPLATES_KEPT)
def read_template(text: str) -> Template:
    """VariableRefusedError when a placeholder would write the name of a tag."""
    tags = tag_names(_PLACEHOLDER.sub(_VALUE, text))
    return Template(tuple(_pieces(text, has_tags=bool(tags))), tags)


def _pieces(text: str, *, has_tags: bool) -> Iterator[str | Placeholder]:
    parts = _PLACEHOLDER.split(text)
    literals, names = parts[::2], parts[1::2]
    before = ""
    for number, name in enumerate(names):
        literal = literals[number]
        before = (before[before.rfind("<") :] if "<" in before else "") + literal
        is_name = is_name_of_tag(before)
        if has_tags and is_name:
            raise VariableRefusedError(name, f"{name} stands in the name of a tag; put it between tags, or as the value of an attribute.")
        # In a text without tags of its own an angle is an angle; what it comes to with the value is looked at when the value is there.
        angle = literal[literal.rfind("<") :] if is_name and "<" in literal else ""
        if literal != angle:
            yield literal.removesuffix(angle) if angle else literal
        yield Placeholder(name, is_attribute=has_tags and is_within_tag(before, _VALUE.join(literals[number + 1 :])), angle=angle)
        before += _VALUE
    if literals[-1]:
        yield literals[-1]
