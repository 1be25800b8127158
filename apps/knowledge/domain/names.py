"""What collections are called, which languages they may have, and what may be said of a document."""

import re
from collections.abc import Mapping

from apps.files.domain.upload import plain_name

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
NAME_RULE = "A collection's name has up to 50 small letters, digits, '.', '_' and '-', and begins with a letter or digit."
# Those whose forms every Postgres knows; 'simple' knows none.
LANGUAGES = (
    *("simple", "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "indonesian", "italian"),
    *("norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish"),
)
MOST_METADATA = 16
LONGEST_KEY = 64
LONGEST_VALUE = 200


def member_name(path: str) -> str:
    """What a document is called that stands at this path of an archive."""
    return plain_name(path.replace("/", " - "))


class MetadataRefusedError(Exception):
    """What was said of a document can't be kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def check_metadata(value: object) -> dict[str, str]:
    """Texts by name; MetadataRefusedError says what is wrong."""
    if not isinstance(value, Mapping):
        raise MetadataRefusedError("Metadata is an object of texts by name.")
    if len(value) > MOST_METADATA:
        raise MetadataRefusedError(f"A document has at most {MOST_METADATA} entries of metadata.")
    for name, text in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_KEY or "\x00" in name:
            raise MetadataRefusedError(f"A name in metadata has 1 to {LONGEST_KEY} characters.")
        if not isinstance(text, str) or len(text) > LONGEST_VALUE or "\x00" in text:
            raise MetadataRefusedError(f"{name[:50]!r} in metadata must be a text of at most {LONGEST_VALUE} characters.")
    return dict(value)
