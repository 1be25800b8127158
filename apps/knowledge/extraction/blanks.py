"""Blanks that a page leaves room for and says nothing of: some programs move on instead of writing one, and the library joins the words.

Two letters on one line are parted where more room is between them than letters leave, measured from where the one ends, with the room that
its font gives it, to where the other begins; but not all the letters of a word that is set wide. That takes microseconds a letter: a
document in which nothing is found is not looked at to its end.
"""

import ctypes
from collections.abc import Container

from apps.knowledge.extraction.letters import ROOM, Letters

# Letters that are looked at without finding anything, and how many more each find is worth.
_FIRST, _MORE = 50_000, 5_000


class Blanks:
    """Finds them, page by page."""

    def __init__(self) -> None:
        self._left = _FIRST

    def find(self, letters: Letters, unseen: Container[int]) -> list[int]:
        """Before which characters one is missing; those that are `unseen` are passed over."""
        if self._left <= 0:
            return []
        gaps = _gaps(letters, unseen)
        self._left += _MORE * len(gaps) - len(letters.text)
        return gaps


def _gaps(letters: Letters, unseen: Container[int]) -> list[int]:
    find, textpage, box, gaps = letters.raw.FPDFText_GetLooseCharBox, letters.textpage, letters.raw.FS_RECTF(), []
    place, before = ctypes.byref(box), None
    for index, (character, number) in enumerate(zip(letters.text, letters.numbers, strict=True)):
        if index in unseen:
            continue
        # A mark of a hyphen is none to measure from, nor is what has no place.
        if character.isspace() or not character.isprintable() or not find(textpage, number, place):
            before = None
            continue
        if before is not None and box.bottom < before[1] and before[2] < box.top and box.left - before[0] > ROOM * (box.top - box.bottom):
            gaps.append(index)
        before = (box.right, box.top, box.bottom)
    # Two letters alone, one after the other, are no words.
    found = set(gaps)
    wide = {gap + step for gap in gaps if {gap + 1, gap + 2} <= found for step in range(3)}
    return [gap for gap in gaps if gap not in wide]
