"""Which version of a prompt a request was made from, as its caller says."""

from collections.abc import Mapping
from typing import Any

PROMPT_VERSION_LENGTH = 64
PROMPT_VERSION_HEADER = "X-Prompt-Version"


class PromptVersionRefusedError(Exception):
    """What was said is no short text."""


def prompt_version_of(body: Mapping[str, Any], default: str) -> str:
    """The body's own `metadata.prompt_version`; what was said for all (`default`); or the stored prompt that OpenAI's `prompt` names."""
    metadata = body.get("metadata")
    said = metadata.get("prompt_version") if isinstance(metadata, dict) else None
    if said is None or said == "":
        return default or _of_stored(body.get("prompt"))
    if not isinstance(said, str) or len(said) > PROMPT_VERSION_LENGTH:
        msg = f"body.metadata.prompt_version must be a text of at most {PROMPT_VERSION_LENGTH} characters."
        raise PromptVersionRefusedError(msg)
    return said


def _of_stored(prompt: object) -> str:
    """`{"id": "pmpt_1", "version": "3"}` as `pmpt_1:3`; cut, because its length is the provider's matter."""
    if not isinstance(prompt, dict) or not isinstance(prompt.get("id"), str):
        return ""
    version = prompt.get("version")
    name: str = f"{prompt['id']}:{version}" if isinstance(version, str) and version else prompt["id"]
    return name.replace("\0", "")[:PROMPT_VERSION_LENGTH]
