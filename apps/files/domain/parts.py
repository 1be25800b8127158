"""What an upload in parts must say about itself, and what completes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.files.domain.upload import UploadRefusedError, read_upload_form

UPLOAD_SECONDS = 3600
PART_BYTES = 64 << 20
MOST_PARTS = 10_000
_MD5_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A well-formed announcement; `expires_after_seconds` is the file's, None means that nothing was said."""

    filename: str
    purpose: str
    size_bytes: int
    expires_after_seconds: int | None


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """Which parts make the file, in order, and the MD5 of it in hex (empty: not said)."""

    part_ids: tuple[str, ...]
    md5: str


def read_upload_request(values: object, *, most_bytes: int) -> UploadRequest:
    """Judge the body of POST /v1/uploads; UploadRefusedError names the parameter that is wrong."""
    body = _object(values)
    filename, purpose = _text(body, "filename"), _text(body, "purpose")
    _text(body, "mime_type")
    size = body.get("bytes")
    if type(size) is not int or not 0 < size <= most_bytes:
        message = f"'bytes' must be a whole number from 1 to {most_bytes:,}: the size of the whole file."
        raise UploadRefusedError("bytes", "invalid_value", message)
    expiry = body.get("expires_after")
    if expiry is not None and not isinstance(expiry, Mapping):
        raise UploadRefusedError("expires_after", "invalid_type", "'expires_after' must be an object with 'anchor' and 'seconds'.")
    if expiry is not None and type(expiry.get("seconds")) is not int:
        raise UploadRefusedError("expires_after.seconds", "invalid_type", "'expires_after.seconds' must be a whole number.")
    seconds = None if expiry is None else str(expiry["seconds"])
    form = read_upload_form(purpose=purpose, anchor=None if expiry is None else str(expiry.get("anchor")), seconds=seconds)
    return UploadRequest(filename=filename, purpose=form.purpose, size_bytes=size, expires_after_seconds=form.expires_after_seconds)


def read_completion(values: object) -> CompletionRequest:
    """Judge the body of POST /v1/uploads/{id}/complete; UploadRefusedError names the parameter that is wrong."""
    body = _object(values)
    ids = body.get("part_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(part_id, str) for part_id in ids):
        raise UploadRefusedError("part_ids", "invalid_type", "'part_ids' must be a list of the parts' ids, in the order of their bytes.")
    if len(ids) > MOST_PARTS:
        raise UploadRefusedError("part_ids", "invalid_value", f"'part_ids' has {len(ids):,} entries; {MOST_PARTS:,} at most.")
    if len(set(ids)) < len(ids):
        raise UploadRefusedError("part_ids", "invalid_value", "'part_ids' names a part twice.")
    md5 = "" if body.get("md5") is None else body["md5"]
    if not isinstance(md5, str) or (md5 and (len(md5) != _MD5_CHARACTERS or set(md5.lower()) - set("0123456789abcdef"))):
        raise UploadRefusedError("md5", "invalid_value", "'md5' must be the file's MD5 as 32 hexadecimal digits.")
    return CompletionRequest(part_ids=tuple(ids), md5=md5.lower())


def _object(values: object) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise UploadRefusedError("body", "invalid_type", "The body must be a JSON object.")
    return values


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise UploadRefusedError(name, "missing_required_parameter", f"Missing required parameter: '{name}', a string.")
    return value
