"""Tags in a prompt, and how data is kept from writing them.

A prompt marks sections with tags, like `<document>...</document>`. A value between them is data: where it holds what could be read as
one of those tags, its `<` becomes `&lt;`. So it does where a control token of a chat template begins, as `<|im_end|>` does: servers of
models read these in what is said, too. Everything else of it stays as it is, so code and formulas reach the model unharmed.

What could be read as a tag: its name in any case, with blanks before it, with characters that nobody sees before or between its letters,
in letters with marks on them, and in letters that look like Latin ones (`lookalikes`); the angle may be a full-width or a small one.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from apps.prompts.domain.lookalikes import ANGLES, plain_letters

_NAME = r"[^\W\d_][\w.:-]*+"
# Characters that are not seen can stand between `<` and the name, and a model would read over them.
# Possessive: two of them stand side by side, and a long gap must not be tried in every way that it can be shared between them.
_GAP = r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+"
_QUOTED = re.compile(r"""=\s*+(?:"[^"]*"|'[^']*')""")
# In quotes there may be angles. Bounded: each place of a text is looked at for few tags that may have begun before it.
_ATTRIBUTES = rf"\s(?:{_QUOTED.pattern}|=|[^<>=]++){{0,200}}+"
_TAG = re.compile(rf"</?({_NAME})(?=(?:{_ATTRIBUTES}|\s[^<>]*+|/)?>)")
_WITH_ATTRIBUTES = re.compile(rf"</?{_NAME}(?:{_ATTRIBUTES}|\s[^<>]*+)>")
_UNFINISHED = re.compile(rf"<{_GAP}/?{_GAP}[\w.:-]*\Z")
_OF_A_NAME = re.compile(r"[\w.:-]+")
# The usual ones of those that are not seen: a long run of them is passed over at once, before the name with its blanks and slash.
_BEFORE_NAME = re.compile(r"[\s/\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+")
_WITHIN_NAME = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*+")
# The same of ASCII.
_PLAIN_BEFORE, _PLAIN_WITHIN = r"[\x00-\x20/\x7f]*+", r"[\x00-\x08\x0e-\x1b\x7f]*+"
_END, _NOT_PLAIN = r"\Z", r"[^\x00-\x7f]"
_BARS = ("|", "\uff5c")
# Behind the angle: a bar, and what a token's name begins with. `f <| x` and `a <|> b` are code.
_TOKEN = rf"[{''.join(_BARS)}](?:[\w\u2581]|\Z)"
_IN_ATTRIBUTES = str.maketrans(
    {"&": "&amp;", '"': "&quot;", "\uff02": "&quot;", "'": "&#39;", "\uff07": "&#39;"}
    | dict.fromkeys(ANGLES, "&lt;")
    | dict.fromkeys(">\uff1e\ufe65", "&gt;")
)
_WITHOUT_QUOTES = str.maketrans({character: f"&#{ord(character)};" for character in " =/`"})
# One by one, as each alone is found at once.
_OTHER_ANGLES = [re.compile(angle) for angle in ANGLES[1:]]
_GUARDS_KEPT = 256
# Of names only as much as tells them apart from most others; of very many names less.
_LETTERS_GUARDED = 32
_LETTERS_OF_ALL = 4_000

# Letters by what may come next; nothing comes behind the last one of a name.
_Letters: TypeAlias = "dict[str, _Letters]"


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """Keeps data from writing tags that begin with one of these names, and control tokens.

    `plain` finds the angles of those in ASCII, `other` those where that has to be looked at letter by letter.
    """

    names: _Letters
    plain: re.Pattern[str]
    other: re.Pattern[str]

    def escape(self, value: str, behind: str = "") -> str:
        """The value with `&lt;` for each angle that begins such a tag, alone or together with what is put behind the value.

        `behind`: what is known to stand behind it.
        """
        told = self.plain.sub("&lt;", value)
        if not told.isascii():
            told = self.other.sub(self._angle, told)
            for angle in _OTHER_ANGLES if self.names else ():
                told = angle.sub(self._angle, told)
        return keep_apart(told, behind)

    def _angle(self, found: re.Match[str]) -> str:
        return "&lt;" if self._begins_tag(found.string, found.end()) else found.group()

    def _begins_tag(self, text: str, place: int) -> bool:
        here = self.names
        while (place := _passed(_BEFORE_NAME if here is self.names else _WITHIN_NAME, text, place)) < len(text):
            plain = plain_letters(text[place])
            place += 1
            if here is self.names and (plain.isspace() or plain == "/"):
                continue
            for letter in plain:
                if letter not in here:
                    return False
                here = here[letter]
                if not here:
                    return True
        return bool(self.names)


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


def attributes(text: str) -> Iterator[tuple[int, int, bool]]:
    """Of each tag with attributes: from where to where quotes stand in it (True), then the whole of it (False)."""
    for tag in _WITH_ATTRIBUTES.finditer(text):
        for quoted in _QUOTED.finditer(text, *tag.span()):
            yield *quoted.span(), True
        yield *tag.span(), False


def keep_apart(text: str, behind: str) -> str:
    """The text with `&lt;` for an angle at its end that would begin a control token together with what stands behind it."""
    return f"{text[:-1]}&lt;" if behind.startswith(_BARS) and text.endswith("<") else text


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
    """Of these names; without any, of control tokens alone."""
    most = _LETTERS_GUARDED
    while most > 1 and sum(len(name[:most]) for name in tags) > _LETTERS_OF_ALL:
        most //= 2
    names = _by_letter({letters for letters in map(_read, {name[:most] for name in tags}) if letters})
    plain = rf"<(?={_TOKEN}|{_PLAIN_BEFORE}{_pattern(names, _END)})" if names else f"<(?={_TOKEN})"
    other = rf"<(?={_PLAIN_BEFORE}{_pattern(names, _NOT_PLAIN)})" if names else "(?!)"
    return Guard(names, re.compile(plain), re.compile(other))


def _read(name: str) -> tuple[frozenset[str], ...]:
    """What each letter of a name may be read as: a capital can look like another letter than the small one does.

    As far as the name can be told apart from what is no name: `a½` folds to one with a slash.
    """
    read: list[frozenset[str]] = []
    for character in name:
        plain = plain_letters(character)
        ways = [told for told in map(plain_letters, (character.lower(), character.upper())) if len(told) == len(plain)]
        read += map(frozenset, zip(plain, *ways, strict=True))
    ends = (place for place, letters in enumerate(read) if not all(map(_OF_A_NAME.fullmatch, letters)))
    return tuple(read[: next(ends, len(read))])


def _by_letter(names: Collection[tuple[frozenset[str], ...]]) -> _Letters:
    """The shorter ones first: what begins with one of them is one of them."""
    first: _Letters = {}
    for name in sorted(names, key=len):
        level = [first]
        for letters in name:
            new: _Letters = {}
            nexts = [here.setdefault(letter, new) for here in level for letter in letters]
            level = list({id(here): here for here in nexts if here is new or here}.values())
    return first


def _pattern(here: _Letters, stop: str) -> str:
    """What of names stands in ASCII, each letter in both cases: as a whole, or as far as `stop`."""
    if not here:
        return ""
    ways = (
        f"[{re.escape(letter)}{re.escape(letter.upper())}]{_PLAIN_WITHIN}{_pattern(behind, stop)}"
        for letter, behind in here.items()
        if letter.isascii()
    )
    return f"(?:{'|'.join([*ways, stop])})"


def escape_attribute(value: str, *, is_quoted: bool = True) -> str:
    """A value that stands inside a tag: it can close neither the tag nor its quotes, and is one line.

    Without quotes it can begin no other attribute either: its blanks are encoded, too.
    """
    told = " ".join(value.translate(_IN_ATTRIBUTES).split())
    return told if is_quoted else told.translate(_WITHOUT_QUOTES)
