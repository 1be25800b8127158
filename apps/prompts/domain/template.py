"""Templates: texts with `{{ name }}` in them, filled in one pass.

A value is data: it is never read for placeholders, nor can it close or open a tag, be it one of the text beside which it is sent,
nor begin a control token.
Nothing is evaluated: no expressions, loops or filters. What is no `{{ name }}` is text, braces included.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from apps.prompts.domain.markup import Guard, Tagged, attributes, escape_attribute, guard, is_name_of_tag, tag_names
from apps.prompts.domain.variables import NAME, VariableRefusedError

_PLACEHOLDER = re.compile(r"\{\{[ \t]*(" + NAME.pattern + r")[ \t]*\}\}")
# Stands for a value where only its being there matters.
_VALUE = "x"
_TEMPLATES_KEPT = 256
# A value may stand in many places: what comes of it stays within what a request may be.
MOST_FILLED = 4_000_000


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a value goes; `is_attribute`: inside a tag. `is_name`: where its name would stand.

    `angle`: what stands before it and would begin a tag together with it.
    """

    name: str
    is_attribute: bool = False
    is_quoted: bool = False
    is_name: bool = False
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

    def fill_guarded(self, texts: Mapping[str, str | Tagged], guarding: Guard) -> str:
        """The same; `guarding` knows the tags of all that is sent together."""
        size = 0
        for piece in self.pieces:
            size += len(piece) if isinstance(piece, str) else len(texts[piece.name])
            if size > MOST_FILLED:
                name = "" if isinstance(piece, str) else piece.name
                raise VariableRefusedError(name, f"With its variables the text is longer than {MOST_FILLED:,} characters.")
        made = [""]
        behind = ""
        for piece in reversed(self.pieces):
            made.append(piece if isinstance(piece, str) else _value(piece, texts[piece.name], guarding, behind))
            behind = made[-1] or behind
        return "".join(reversed(made))


def fill_together(templates: Sequence[Template], texts: Mapping[str, str | Tagged]) -> list[str]:
    """What is sent together is guarded together: no value writes a tag of any of these texts, or one that another value is made of.

    VariableRefusedError as for one.
    """
    used = {name for template in templates for name in template.names}
    made = {value.tag for name, value in texts.items() if name in used and isinstance(value, Tagged)}
    guarding = guard(frozenset(made).union(*(template.tags for template in templates)))
    return [template.fill_guarded(texts, guarding) for template in templates]


def _value(place: Placeholder, value: str | Tagged, guarding: Guard, behind: str) -> str:
    made = value.render(guarding) if isinstance(value, Tagged) else value
    if place.is_attribute:
        return escape_attribute(made, is_quoted=place.is_quoted)
    return place.angle + made if isinstance(value, Tagged) else guarding.escape(place.angle + made, behind)


@lru_cache(maxsize=_TEMPLATES_KEPT)
def read_template(text: str) -> Template:
    """Of a text that was checked when it was written."""
    return Template(tuple(_pieces(text)), tag_names(_PLACEHOLDER.sub(_VALUE, text)))


def check_template(text: str) -> Template:
    """VariableRefusedError when a placeholder would write the name of a tag, or stands in a tag without quotes."""
    template = read_template(text)
    for piece in template.pieces if template.tags else ():
        if isinstance(piece, Placeholder) and piece.is_name:
            message = f"{piece.name} stands in the name of a tag; put it between tags, or as the value of an attribute."
            raise VariableRefusedError(piece.name, message)
        if isinstance(piece, Placeholder) and piece.is_attribute and not piece.is_quoted:
            message = f"{piece.name} stands in a tag without quotes; put it between tags, or in quotes as the value of an attribute."
            raise VariableRefusedError(piece.name, message)
    return template


def _pieces(text: str) -> Iterator[str | Placeholder]:
    within: dict[int, bool] = {}
    for first, last, is_quoted in attributes(text):
        for found in _PLACEHOLDER.finditer(text, first, last):
            within.setdefault(found.start(), is_quoted)
    before, done = "", 0
    for found in _PLACEHOLDER.finditer(text):
        literal, is_attribute = text[done : found.start()], found.start() in within
        done = found.end()
        before = (before[before.rfind("<") :] if "<" in before else "") + literal
        # Between tags an angle is an angle; what it comes to with the value is looked at when the value is there.
        is_name = is_name_of_tag(before)
        angle = literal[literal.rfind("<") :] if is_name and not is_attribute and "<" in literal else ""
        if literal != angle:
            yield literal.removesuffix(angle) if angle else literal
        yield Placeholder(found.group(1), is_attribute, within.get(found.start(), False), is_name, angle)
        before += _VALUE
    if text[done:]:
        yield text[done:]
