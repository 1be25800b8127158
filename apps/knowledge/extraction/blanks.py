"""Blanks that a page leaves room for and says nothing of: some programs move on instead of writing one, and the library joins the words.

Two letters on one line are parted where more room is between them than letters leave, measured from where the one ends, with the room that
its font gives it, to where the other begins; but not all the letters of a word that is set wide. That takes microseconds a letter: a
document in which nothing is found is not looked at to its end.
"""

import ctypes
from typing import Any

# Of the font's height. Words are a quarter apart at least; formulas and letters that are set wide have less between theirs.
_ROOM = 0.18
# Letters that are looked at without finding anything, and how many more each find is worth.
_FIRST, _MORE = 50_000, 5_000


class Blanks:
    """Puts them back, page by page."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._left = _FIRST

    def restore(self, textpage: Any, text: str) -> str:
        """`text`: the page's, as the library reads it, one character for each that it knows the place of."""
        if self._left <= 0 or self._raw.FPDFText_CountChars(textpage) != len(text):
            return text
        gaps = self._gaps(textpage, text)
        self._left += _MORE * len(gaps) - len(text)
        return " ".join(text[begin:end] for begin, end in zip([0, *gaps], [*gaps, len(text)], strict=True))

    def _gaps(self, textpage: Any, text: str) -> list[int]:
        """Before which characters a blank is missing."""
        find, box, gaps = self._raw.FPDFText_GetLooseCharBox, self._raw.FS_RECTF(), []
        place, before = ctypes.byref(box), None
        for index, character in enumerate(text):
            # A mark of a hyphen is none to measure from, nor is what has no place.
            if character.isspace() or not character.isprintable() or not find(textpage, index, place):
                before = None
                continue
            if (
                before is not None
                and box.bottom < before[1]
                and before[2] < box.top
                and box.left - before[0] > _ROOM * (box.top - box.bottom)
            ):
                gaps.append(index)
            before = (box.right, box.top, box.bottom)
        # Two letters alone, one after the other, are no words.
        found = set(gaps)
        wide = {gap + step for gap in gaps if {gap + 1, gap + 2} <= found for step in range(3)}
        return [gap for gap in gaps if gap not in wide]
