"""Take secrets out of what is written down: those that are known, in every form that others repeat them in, and what looks like one."""

import base64
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

REDACTED = "[redacted]"
# Shorter ones ("none", "EMPTY", "ollama") protect nothing, and stand in good texts.
_SHORTEST, _SHORTEST_KEY = 8, 12
# Bearer and basic credentials, keys by their usual beginnings, passwords in URLs, sessions in cookies.
_LOOKS_SECRET = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{8,}"), r"\1\2" + REDACTED),
    (re.compile(r"(aip-|\b(?:sk-|whsec_))[\w-]{8,}"), r"\1" + REDACTED),
    (re.compile(r"(://[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\b(sessionid|csrftoken)=\w+"), r"\1=" + REDACTED),
)
# An API key of this platform, whole or cut short; what pages show of one, for recognising it, is shorter.
_KEY_BEGINS = "aip-"
_API_KEY = re.compile(_KEY_BEGINS + r"[\w-]{20,}")
# Whoever encodes an address that is encoded already: a library over a library, or somebody who hides a key from plain searches.
_MOST_ENCODED = 4
_PART_OF_ADDRESS = re.compile(r"[^\s\"'&=?/]+")


def is_worth_hiding(secret: str) -> bool:
    """Whether this is a secret of the environment, and no word ("postgres", "aiplatform") that lines of the log are made of."""
    return len(secret) >= _SHORTEST and not secret.isalpha()


def is_real_key(secret: str) -> bool:
    """Whether this is a provider's key, and not what stands where a server wants none ("lm-studio", "sk-no-key-required", "12345678").

    Such words are a part of good answers, which are paid for as they are. Real keys are longer, of letters and digits.
    """
    return len(secret) >= _SHORTEST_KEY and any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))


def has_key_in_address(path: str, query: str) -> bool:
    """Whether an API key stands in an address: the path as it is meant, the query as it was sent; also encoded again and again."""
    return any(_has_key(text) for text in (path, query))


def _has_key(text: str) -> bool:
    for _ in range(_MOST_ENCODED):
        if _KEY_BEGINS in text and _API_KEY.search(text):
            return True
        if "%" not in text:
            return False
        text = unquote(text)
    return _API_KEY.search(text) is not None


def _without_encoded_keys(part: "re.Match[str]") -> str:
    return REDACTED if "%" in part[0] and _has_key(part[0]) else part[0]


@lru_cache(maxsize=256)
def forms_of(secret: str) -> tuple[str, ...]:
    """As it is, in JSON, exceptions and addresses, in hex and base64 (whatever stands around it); none for what protects nothing."""
    if len(secret) < _SHORTEST:
        return ()
    # A variable of the environment need not be UTF-8.
    content = secret.encode(errors="surrogateescape")
    # Three bytes make four characters; only those that the secret makes alone are the same behind any other bytes.
    packed = [
        base64.b64encode(b"\0" * before + content).decode()[-(-before * 4 // 3) :][: (len(content) - (-before % 3)) // 3 * 4]
        for before in range(3)
    ]
    safe = [form.translate(str.maketrans("+/", "-_")) for form in packed]
    told = [secret, repr(secret)[1:-1]]
    forms = [*told, *(json.dumps(text)[1:-1] for text in told), quote(content), quote(content, safe=""), *packed, *safe]
    forms += [content.hex(), content.hex().upper()]
    # The longer ones first: one may be a part of another.
    return tuple(sorted(set(forms), key=len, reverse=True))


@lru_cache(maxsize=256)
def _forms_as_bytes(secret: str) -> tuple[bytes, ...]:
    return tuple(form.encode(errors="surrogateescape") for form in forms_of(secret))


def redact(text: str, secret: str) -> str:
    """`text` without `secret`."""
    for form in forms_of(secret):
        if form in text:
            text = text.replace(form, REDACTED)
    return text


def redact_bytes(content: bytes, secret: str) -> bytes:
    """`content` without `secret`; the same object when it isn't there. Costs about ten searches: microseconds for an answer of some kB."""
    for form in _forms_as_bytes(secret):
        if form in content:
            content = content.replace(form, REDACTED.encode())
    return content


def without_beginning(content: bytes, secret: str) -> bytes:
    """`content`, which was cut off, without a secret that it ends in the middle of; a few characters of one may stay."""
    text = content[-_longest(secret) :].decode("latin-1") if content else ""
    length = _open_length(text, secret)
    return content if length < _SHORTEST else content[:-length] + REDACTED.encode()


def without_begun(content: bytes, secret: str) -> bytes:
    """`content` up to where anything in it begins like the secret; the same object when nothing does."""
    places = [content.find(form[:_SHORTEST]) for form in _forms_as_bytes(secret)]
    begun = [place for place in places if place >= 0]
    return content[: min(begun)] + REDACTED.encode() if begun else content


@lru_cache(maxsize=256)
def _longest(secret: str) -> int:
    return max(map(len, forms_of(secret)), default=1)


@lru_cache(maxsize=256)
def _first_characters(secret: str) -> frozenset[str]:
    return frozenset(form[0] for form in forms_of(secret))


def _open_length(text: str, secret: str) -> int:
    """How many characters at the end of `text` are the beginning of a form of the secret: the most that may be."""
    firsts, forms = _first_characters(secret), forms_of(secret)
    for at in range(max(0, len(text) - _longest(secret) + 1), len(text)):
        if text[at] in firsts and any(form.startswith(text[at:]) for form in forms):
            return len(text) - at
    return 0


class PieceRedactor:
    """For one text that comes in pieces: what may be the beginning of the secret waits until the next piece has told."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._waiting = ""
        self.has_found = False

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def feed(self, piece: str) -> str:
        """What may be told of the text by now, without the secret; less than one form of it stays behind."""
        whole = self._waiting + piece
        text = redact(whole, self._secret)
        self.has_found = self.has_found or text is not whole
        length = _open_length(text, self._secret)
        self._waiting = text[len(text) - length :]
        return text[: len(text) - length]

    def end(self, *, is_cut: bool = False) -> str:
        """What still waited: it was no secret. Of a text that was cut off it may be one: then only a few characters are told."""
        waiting, self._waiting = self._waiting, ""
        if is_cut and len(waiting) >= _SHORTEST:
            self.has_found = True
            return REDACTED
        return waiting


class Redactor:
    """For texts that may hold any of these secrets, or one that nobody knows of here."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(set(secrets))

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = redact(text, secret)
        for pattern, replacement in _LOOKS_SECRET:
            text = pattern.sub(replacement, text)
        return _PART_OF_ADDRESS.sub(_without_encoded_keys, text) if "%" in text else text
