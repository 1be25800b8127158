"""Which plain letters a character can be read as: a model reads a tag in Cyrillic or full-width letters as a person does."""

import unicodedata
from functools import lru_cache

ANGLES = ("<", "\uff1c", "\ufe64")
# Letters of Cyrillic, Greek, Armenian, phonetics and numerals by the Latin ones that they look like, each case by its own looks.
_LOOKS = {
    "a": "\u0430\u03b1\u0391\u0410\u1d00\u0251",
    "b": "\u0412\u0432\u0392\u0299\u042c",
    "c": "\u0441\u0421\u03f2\u03f9\u1d04\u217d",
    "d": "\u0501\u0500\u1d05\u0257",
    "e": "\u0435\u0415\u0395\u03b5\u0454\u1d07\u04bd",
    "f": "\ua730\u03dd\u03dc",
    "g": "\u0261\u0262\u050d\u0581",
    "h": "\u04bb\u04ba\u041d\u043d\u0397\u029c\u0570",
    "i": "\u0456\u0406\u03b9\u0399\u026a\u0131\u0269",
    "j": "\u0458\u0408\u03f3\u037f\u1d0a",
    "k": "\u043a\u041a\u03ba\u039a\u1d0b",
    "l": "\u04cf\u04c0\u029f\u01c0",
    "m": "\u043c\u041c\u039c\u1d0d",
    "n": "\u03b7\u039d\u0274\u0578\u043f",
    "o": "\u043e\u041e\u03bf\u039f\u03c3\u0585\u0555\u1d0f",
    "p": "\u0440\u0420\u03c1\u03a1\u1d18",
    "q": "\u051b\u051a\u0566",
    "r": "\u0433\u0280\u1d26",
    "s": "\u0455\u0405\ua731",
    "t": "\u0442\u0422\u03c4\u03a4\u1d1b",
    "u": "\u03c5\u057d\u1d1c\u03bc",
    "v": "\u03bd\u0475\u0474\u1d20",
    "w": "\u051d\u051c\u03c9\u1d21",
    "x": "\u0445\u0425\u03c7\u03a7",
    "y": "\u0443\u0423\u03b3\u03a5\u04af\u1d20\u028f",
    "z": "\u0396\u03b6\u1d22\u2c8c",
}
_PLAIN = {ord(look): letter for letter, looks in _LOOKS.items() for look in looks}
# Beside what Unicode calls format characters, controls and marks: fillers that have a width at most.
_UNSEEN = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_MARKS = ("Mn", "Me", "Cf", "Cc")
_LETTERS_KEPT = 4096


@lru_cache(maxsize=_LETTERS_KEPT)
def plain_letters(character: str) -> str:
    """What it is read as, in lower case; nothing for one that isn't seen, or only marks the letter before it."""
    if character in _UNSEEN:
        return ""
    told = unicodedata.normalize("NFKD", character.translate(_PLAIN)).translate(_PLAIN).casefold()
    return "".join(one for one in told if one.isspace() or unicodedata.category(one) not in _MARKS)
