"""What an upload must say about itself."""

from dataclasses import dataclass

UPLOAD_PURPOSES = ("batch", "assistants", "fine-tune", "vision", "user_data", "evals")
SHORTEST_SECONDS = 3600
LONGEST_SECONDS = 2_592_000
# What jobs read and write is let go by itself; whatever else somebody uploads is there until he deletes it.
RETAINED_PURPOSES = ("batch", "batch_output")
_LONGEST_NAME = 255


class UploadRefusedError(Exception):
    """The upload's form is wrong; `param` is the field."""

    def __init__(self, param: str, code: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form that is in order; seconds count from the upload, None means that nothing was said."""

    purpose: str
    expires_after_seconds: int | None


def read_upload_form(*, purpose: str | None, anchor: str | None, seconds: str | None) -> UploadForm:
    """Judge the form's fields; UploadRefusedError names the one that is wrong."""
    if not purpose:
        raise UploadRefusedError("purpose", "missing_required_parameter", f"Say what the file is for: one of {', '.join(UPLOAD_PURPOSES)}.")
    if purpose not in UPLOAD_PURPOSES:
        raise UploadRefusedError("purpose", "invalid_purpose", f"{purpose[:50]!r} is no purpose; use one of {', '.join(UPLOAD_PURPOSES)}.")
    if anchor is None and seconds is None:
        return UploadForm(purpose, None)
    if anchor != "created_at":
        raise UploadRefusedError("expires_after[anchor]", "invalid_value", "expires_after[anchor] must be 'created_at'.")
    if (
        not (seconds or "").isascii()
        or not (seconds or "").isdigit()
        or not SHORTEST_SECONDS <= int((seconds or "0")[:10]) <= LONGEST_SECONDS
    ):
        message = f"expires_after[seconds] must be a whole number from {SHORTEST_SECONDS} to {LONGEST_SECONDS}."
        raise UploadRefusedError("expires_after[seconds]", "invalid_value", message)
    return UploadForm(purpose, int(seconds or "0"))


def plain_name(name: str | None) -> str:
    """A file's name for showing: never a path, never longer than the column, without control characters."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(character for character in last if character.isprintable()).strip()
    name = printable[-_LONGEST_NAME:]
    return name if name.strip(".") else "upload"
