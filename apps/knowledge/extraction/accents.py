"""Accents that a page draws over (or under) its letters as signs of their own, as TeX does with its older fonts.

The library tells them as they are drawn: before their letters or, where they were raised a little, at the end of the line. Here each is one
with the letter that stands where it does. That takes microseconds an accent, and nothing for pages without any.
"""

import unicodedata

from apps.knowledge.extraction.letters import ROOM, Letters, Place

# By the sign that stands alone, the one that is joined: grave, acute, circumflex, tilde, macron, breve, dot, diaeresis, ring, double acute,
# caron, cedilla, ogonek.
_MARKS = {
    "`": "\u0300", "\xb4": "\u0301", "\u02c6": "\u0302", "\u02dc": "\u0303", "\xaf": "\u0304", "\u02d8": "\u0306", "\u02d9": "\u0307",
    "\xa8": "\u0308", "\u02da": "\u030a", "\u02dd": "\u030b", "\u02c7": "\u030c", "\xb8": "\u0327", "\u02db": "\u0328",
}  # fmt: skip
_DOTLESS = {"\u0131": "i", "\u0237": "j"}
# Of the line's height from below: where letters are, and accents aren't.
_MIDDLE = 0.4
# Accents of a page whose letters are looked for all over it.
_MOST_SEARCHES = 1_000


class Accents:
    """Those of one page."""

    def __init__(self, letters: Letters) -> None:
        self._letters, self._text = letters, letters.text
        self._searches = 0

    def join(self) -> dict[int, str]:
        """What stands in place of single characters, by index: letters with accents; nothing for accents, and for blanks about them."""
        instead: dict[int, str] = {}
        if _MARKS.keys().isdisjoint(self._text):
            return instead
        for index, character in enumerate(self._text):
            if character not in _MARKS or (found := self._letter_at(index)) is None:
                continue
            letter = instead.get(found, self._text[found])
            instead[found] = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + _MARKS[character])
            instead[index] = ""
        for index in [index for index, text in instead.items() if not text]:
            self._close(index, instead)
        return instead

    def _letter_at(self, index: int) -> int | None:
        """Whose accent it is: of the next letter most often, or of the one before, or of one that was told long before."""
        accent = self._letters.place(index)
        if accent is None:
            return None
        for near in (index + 1, index - 1):
            if self._is_of(accent, near):
                return near
        if self._searches >= _MOST_SEARCHES:
            return None
        self._searches += 1
        found = self._letters.find_at((accent.left + accent.right) / 2, accent.bottom + _MIDDLE * (accent.top - accent.bottom))
        return found if found is not None and self._is_of(accent, found) else None

    def _is_of(self, accent: Place, index: int) -> bool:
        if not 0 <= index < len(self._text) or not self._text[index].isalpha() or self._text[index] in _MARKS:
            return False
        letter = self._letters.place(index)
        return letter is not None and letter.is_beside(accent) and letter.left <= (accent.left + accent.right) / 2 <= letter.right

    def _close(self, index: int, instead: dict[int, str]) -> None:
        """The library puts blanks about what is drawn elsewhere than it stands: they go, but for one between two words."""
        begin, end = index, index + 1
        while begin and (instead.get(begin - 1) == "" or self._letters.is_made(begin - 1)):
            begin -= 1
        while end < len(self._text) and (instead.get(end) == "" or self._letters.is_made(end)):
            end += 1
        made = [place for place in range(begin, end) if self._text[place] == " "]
        before = self._letters.place(begin - 1) if begin else None
        after = self._letters.place(end) if end < len(self._text) else None
        if before and after and not (before.is_beside(after) and abs(after.left - before.right) <= ROOM * (after.top - after.bottom)):
            made = made[1:]
        instead.update(dict.fromkeys(made, ""))
