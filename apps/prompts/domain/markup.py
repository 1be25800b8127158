"""Tags in a prompt, and how data is kept from writing them.

A prompt marks sections with tags, like `<document>...</document>`. A value between them is data: where it holds what could be read as
one of those tags, its `<` becomes `&lt;`. Everything else of it stays as it is, so code and formulas reach the model unharmed.
"""

import re
from collections.abc import Collection

_NAME = r"[A-Za-z][\w.:-]*"
# Characters that are not seen can stand between `<` and the name, and a model would read over them.
# Possessive: two of them stand side by side, and a long gap must not be tried in every way that it can be shared between them.
_GAP = r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*+"
_TAG = re.compile(rf"</?({_NAME})(?:\s[^<>]*)?/?>")
_OPEN_AT_END = re.compile(rf"</?{_NAME}\s[^<>]*\Z")
_CLOSED_LATER = re.compile(r"[^<>]*>")
_UNFINISHED = re.compile(rf"<{_GAP}/?{_GAP}[\w.:-]*\Z")


def tag_names(text: str) -> frozenset[str]:
    """The tags that a text marks sections with, in lower case."""
    return frozenset(found.group(1).lower() for found in _TAG.finditer(text))


def is_within_tag(before: str, after: str) -> bool:
    """Whether what stands between these two is the value of an attribute."""
    return _OPEN_AT_END.match(_tail(before)) is not None and _CLOSED_LATER.match(after) is not None


def is_name_of_tag(before: str) -> bool:
    """Whether what follows would be read as the name of a tag, or its end."""
    return _UNFINISHED.match(_tail(before)) is not None


def _tail(text: str) -> str:
    return text[text.rfind("<") :] if "<" in text else ""


def guard(tags: Collection[str]) -> re.Pattern[str]:
    """Finds each `<` that may begin one of these tags, alone or together with what is put behind the value."""
    names = "|".join(sorted((re.escape(name) for name in tags), key=lambda name: (-len(name), name)))
    return re.compile(rf"<(?={_GAP}/?{_GAP}(?:{names}|[\w.:-]*\Z))", re.IGNORECASE)


def escape_text(value: str, guarding: re.Pattern[str]) -> str:
    """A value that stands between tags."""
    return guarding.sub("&lt;", value) if "<" in value else value


def escape_attribute(value: str) -> str:
    """A value that stands inside a tag: it can close neither the tag nor its quotes, and is one line."""
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")
    return " ".join(value.split())
