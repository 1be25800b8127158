"""The second factor of whoever signs in: six digits of an app (TOTP, RFC 6238), or a recovery code for the day the phone is gone."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlencode

from django_otp.oath import TOTP

_SECRET_BYTES = 20
_STEP_SECONDS = 30
_DIGITS = 6
# A code of the step before or after is taken, too: clocks differ, people type slowly.
_TOLERANCE = 1
RECOVERY_CODES = 10
# Without letters and digits that are taken for one another.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_RECOVERY_LENGTH = 12


class Step(StrEnum):
    """What somebody still has to do after the password."""

    NONE = ""
    ENTER = "enter"
    SET_UP = "set up"


def next_step(*, has_factor: bool, is_verified: bool, is_required: bool) -> Step:
    """Who has a second factor shows it in each session; who has none needs one where the installation asks for it."""
    if has_factor:
        return Step.NONE if is_verified else Step.ENTER
    return Step.SET_UP if is_required else Step.NONE


class CodeRefusedError(Exception):
    """The code is not the right one now; says what to do."""


class FactorStandsError(Exception):
    """A second factor has been set up already."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The step of time that a code was of, and how far the app's clock is from ours; neither is taken again."""

    step: int
    drift: int


def make_totp_secret() -> str:
    """160 bits of chance, in base32: how authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def mark_of(secret: str) -> str:
    """What a session remembers of the secret that it was shown: enough to know it again, too little to tell it."""
    return hashlib.sha256(f"second-factor-mark:{secret}".encode()).hexdigest()


def match_totp(code: str, *, secret: str, last_step: int, drift: int, at: float) -> Matched | None:
    """None for a wrong code, and for one that was used before. `at` in seconds since 1970."""
    digits = "".join(code.split())
    if len(digits) != _DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    totp = TOTP(base64.b32decode(secret), step=_STEP_SECONDS, digits=_DIGITS, drift=drift)
    totp.time = at
    if not totp.verify(int(digits), tolerance=_TOLERANCE, min_t=last_step + 1):
        return None
    return Matched(step=totp.t(), drift=totp.drift)


def provisioning_uri(secret: str, *, who: str, issuer: str) -> str:
    """What the QR code says, in the form that authenticator apps read."""
    query = urlencode({"secret": secret, "issuer": issuer, "digits": _DIGITS, "period": _STEP_SECONDS}, quote_via=quote)
    return f"otpauth://totp/{quote(f'{issuer}:{who}')}?{query}"


def make_recovery_codes() -> list[str]:
    """Codes of 59 bits of chance each, in groups of four letters."""
    drawn = ("".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES))
    return ["-".join(code[start : start + 4] for start in range(0, _RECOVERY_LENGTH, 4)) for code in drawn]


def hash_recovery_code(code: str, *, pepper: str) -> str:
    """What is stored. However it is typed: capitals, blanks and hyphens don't matter."""
    plain = "".join(code.split()).replace("-", "").lower()
    return hmac.new(f"recovery-code:{pepper}".encode(), plain.encode(), hashlib.sha256).hexdigest()
