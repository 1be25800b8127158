"""Text as it is kept: one kind of line end, composed characters, nothing that no reader sees."""

import re
import unicodedata

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
# Controls, halves of pairs, and code points that are no characters; the soft hyphen is only a place where a word may be parted.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_BLANKS = re.compile(r"[^\S\n]+")
_MANY_LINES = re.compile(r"\n{3,}")


def with_line_ends(text: str) -> str:
    """The text with one kind of line end."""
    return _LINE_ENDS.sub("\n", text)


def clean(text: str) -> str:
    """Everything but the look of lines stays; blanks at their ends and more than one empty line in a row go."""
    text = _UNSEEN.sub("", with_line_ends(text))
    lines = (line.rstrip() for line in unicodedata.normalize("NFC", text).split("\n"))
    return _MANY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def flowing(text: str) -> str:
    """Clean text whose blanks mean nothing (of a paragraph, a web page): one between words, none around lines."""
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in clean(text).split("\n")).strip()


def one_line(text: str) -> str:
    """Of a heading, a title, a cell."""
    return " ".join(clean(text).split())


def row_text(cells: list[str]) -> str:
    """A row of a table: cells in one line, empty ones at its end left out."""
    return " | ".join(one_line(cell) for cell in cells).rstrip(" |")
