"""Where the characters of a PDF's page stand, as the library knows it: its text leaves out some of the characters that it counts."""

import ctypes
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

_MOST_IN_ONE_UNIT = 0xFFFF
# Of a line's height. Words are a quarter apart at least; formulas and letters that are set wide have less between theirs.
ROOM = 0.18


class Place(NamedTuple):
    """Of a character, with the room that its font gives it: in points, from the left and from below."""

    left: float
    right: float
    bottom: float
    top: float

    def is_beside(self, other: "Place") -> bool:
        """On the same line."""
        return self.bottom < other.top and other.bottom < self.top


class Letters:
    """The text of one page, and where each character of it stands; indexes are those of `text`."""

    def __init__(self, raw: Any, textpage: Any) -> None:
        self.raw, self.textpage = raw, textpage
        self.text: str = textpage.get_text_range()
        self.numbers = self._numbers()

    def _numbers(self) -> Sequence[int]:
        """By which number the library knows each character; ascending."""
        if self.raw.FPDFText_CountChars(self.textpage) == len(self.text):
            return range(len(self.text))
        numbers, unit = [], 0
        for character in self.text:
            numbers.append(self.raw.FPDFText_GetCharIndexFromTextIndex(self.textpage, unit))
            unit += 2 if ord(character) > _MOST_IN_ONE_UNIT else 1
        return numbers

    def place(self, index: int) -> Place | None:
        """None for blanks, and for what has no place."""
        box = self.raw.FS_RECTF()
        if self.text[index].isspace() or not self.raw.FPDFText_GetLooseCharBox(self.textpage, self.numbers[index], ctypes.byref(box)):
            return None
        return Place(box.left, box.right, box.bottom, box.top)

    def is_made(self, index: int) -> bool:
        """A blank that the library has put there."""
        return self.text[index] == " " and self.raw.FPDFText_IsGenerated(self.textpage, self.numbers[index]) == 1

    def find_at(self, left: float, bottom: float) -> int | None:
        """What is drawn on this point."""
        number = self.raw.FPDFText_GetCharIndexAtPos(self.textpage, left, bottom, 0.0, 0.0)
        index = bisect_left(self.numbers, number)
        return index if index < len(self.numbers) and self.numbers[index] == number else None
