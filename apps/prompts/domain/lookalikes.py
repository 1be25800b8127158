"""Which plain letters a character can be read as: a model reads `＜ｄоcument>` as a person does."""

import unicodedata
from functools import lru_cache

ANGLES = ("<", "\uff1c", "\ufe64")
# Letters by the Latin ones that they look like, in print or in handwriting; a letter with two cases stands with the looks of each.
_LOOKS = {
    "a": "аαΑАᴀɑ",
    "b": "ВвΒʙЬ",
    "c": "сСϲϹᴄⅽ",
    "d": "ԁԀᴅɗ",
    "e": "еЕΕεєᴇҽ",
    "f": "ꜰϝϜ",
    "g": "ɡɢԍց",
    "h": "һҺНнΗʜհ",
    "i": "іІιΙɪıɩ",
    "j": "јЈϳͿᴊ",
    "k": "кКκΚᴋ",
    "l": "ӏӀʟǀ",
    "m": "мМΜᴍ",
    "n": "ηΝɴոп",
    "o": "оОοΟσօՕᴏ",
    "p": "рРρΡᴘ",
    "q": "ԛԚզ",
    "r": "гʀᴦ",
    "s": "ѕЅꜱ",
    "t": "тТτΤᴛ",
    "u": "υսᴜμ",
    "v": "νѵѴᴠ",
    "w": "ԝԜωᴡ",
    "x": "хХχΧ",
    "y": "уУγΥүᴠʏ",
    "z": "ΖζᴢⲌ",
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
