"""Tags in a prompt, and how data is kept from writing them.

A prompt marks sections with tags, like `<document>...</document>`. A value between them is data: where it holds what could be read as
one of those tags, its `<` becomes `&lt;`. Everything else of it stays as it is, so code and formulas reach the model unharmed.

What could be read as a tag: its name in any case, with blanks or characters that nobody sees before, between or behind its letters, in
letters with marks on them, and in letters that look like Latin ones (`lookalikes`); the angle may be a full-width or a small one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from apps.prompts.domain.lookalikes import ANGLES, plain_letters

_NAME = r"[A-Za-z][\w.:-]*"
# Characters that are not seen can stand between `<` and the name, and a model would read over them.
# Possessive: two of them stand side by side, and a long gap must not be tried in every way that it can be shared between them.
_GAP = r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+"
_TAG = re.compile(rf"</?({_NAME})(?:\s[^<>]*)?/?>")
_OPEN_AT_END = re.compile(rf"</?{_NAME}\s[^<>]*\Z")
_CLOSED_LATER = re.compile(r"[^<>]*>")
_UNFINISHED = re.compile(rf"<{_GAP}/?{_GAP}[\w.:-]*\Z")
_OF_A_NAME = re.compile(r"[\w.:-]+")
# The usual ones of those that are not seen: a long run of them is passed over at once, before the name with its blanks and slash.
_BEFORE_NAME = re.compile(r"[\s/\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+")
_WITHIN_NAME = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*+")
_IN_ATTRIBUTES = str.maketrans(
    {"&": "&amp;", '"': "&quot;", "\uff02": "&quot;", "'": "&#39;", "\uff07": "&#39;"}
    | dict.fromkeys(ANGLES, "&lt;")
    | dict.fromkeys(">\uff1e\ufe65", "&gt;")
)
_GUARDS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Guard:
    """Keeps data from writing tags that begin with one of these names; `angles` finds each angle that may begin one.

    `ascii_angles` finds the same, quicker, in texts that have no other.
    """

    names: tuple[str, ...]
    longest: int
    angles: re.Pattern[str]
    ascii_angles: re.Pattern[str]

    def escape(self, value: str) -> str:
        """The value with `&lt;` for each angle that begins such a tag, alone or together with what is put behind the value."""
        return (self.ascii_angles if value.isascii() else self.angles).sub(self._angle, value)

    def _angle(self, found: re.Match[str]) -> str:
        return "&lt;" if self._begins_tag(found.string, found.end()) else found.group()

    def _begins_tag(self, text: str, place: int) -> bool:
        name = ""
        while (place := _passed(_WITHIN_NAME if name else _BEFORE_NAME, text, place)) < len(text):
            plain = plain_letters(text[place])
            place += 1
            if not plain or (not name and (plain.isspace() or plain == "/")):
                continue
            if not _OF_A_NAME.fullmatch(plain):
                return False
            name += plain
            if name.startswith(self.names):
                return True
            if len(name) >= self.longest:
                return False
        return any(known.startswith(name) for known in self.names)


@dataclass(frozen=True, slots=True)
class Tagged:
    """Texts that are put into a template one below the other, each between a pair of tags of its own: (attributes, text)."""

    tag: str
    entries: Sequence[tuple[Mapping[str, str], str]]

    def __len__(self) -> int:
        """Characters of all texts."""
        return sum(len(text) for _, text in self.entries)

    @property
    def text(self) -> str:
        """Without the tags."""
        return "\n\n".join(text for _, text in self.entries)

    def render(self, guarding: Guard) -> str:
        """`guarding` knows the tag."""
        return "\n".join(
            f"{opening(self.tag, attributes)}\n{guarding.escape(text)}\n{closing(self.tag)}" for attributes, text in self.entries
        )


def opening(tag: str, attributes: Mapping[str, str]) -> str:
    """`<tag name="value">`; empty attributes are left out."""
    told = [f'{name}="{escape_attribute(value)}"' for name, value in attributes.items() if value]
    return f"<{' '.join([tag, *told])}>"


def closing(tag: str) -> str:
    return f"</{tag}>"


def tag_names(text: str) -> frozenset[str]:
    """The tags that a text marks sections with, in lower case."""
    return frozenset(found.group(1).lower() for found in _TAG.finditer(text))


def is_within_tag(before: str, after: str) -> bool:
    """Whether what stands between these two is the value of an attribute."""
    return _OPEN_AT_END.match(_tail(before)) is not None and _CLOSED_LATER.match(after) is not None


def is_name_of_tag(before: str) -> bool:
    """Whether what follows would be read as the name of a tag, or its end."""
    return _UNFINISHED.match(_tail(before)) is not None


def _passed(run: re.Pattern[str], text: str, place: int) -> int:
    found = run.match(text, place)
    return found.end() if found else place


def _tail(text: str) -> str:
    return text[text.rfind("<") :] if "<" in text else ""


@lru_cache(maxsize=_GUARDS_KEPT)
def guard(tags: frozenset[str]) -> Guard:
    """Of these names."""
    names = tuple(sorted({_leading("".join(map(plain_letters, name))) for name in tags}))
    firsts = "".join(sorted({re.escape(letter) for name in names for letter in (name[0], name[0].upper())}))
    # What stands behind most angles is a digit, or another letter: these are passed over at once.
    angles, ascii_angles = (re.compile(rf"{angle}(?=/*+(?:[^!-~]|[{firsts}]|\Z))") for angle in (f"[{''.join(ANGLES)}]", "<"))
    return Guard(names, max(map(len, names)), angles, ascii_angles)


def _leading(name: str) -> str:
    """As far as it can be told apart from what is no name: `a½` folds to one with a slash."""
    found = _OF_A_NAME.match(name)
    return found.group() if found else name


def escape_attribute(value: str) -> str:
    """A value that stands inside a tag: it can close neither the tag nor its quotes, and is one line."""
    return " ".join(value.translate(_IN_ATTRIBUTES).split())
