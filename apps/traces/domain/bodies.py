"""How a body is named and packed: SHA-256 over the workspace and the content, zstd."""

import hashlib
import threading
from dataclasses import dataclass
from uuid import UUID

import zstandard

_LEVEL = 1
_tools = threading.local()


@dataclass(frozen=True, slots=True)
class NewBody:
    """A body ready to be stored: `content` is compressed, `size_bytes` is what it was before."""

    id: bytes
    workspace_id: UUID
    content: bytes
    size_bytes: int


def make_body(workspace_id: UUID, content: bytes) -> NewBody:
    """Name and pack `content`; the same content in the same workspace always gets the same id."""
    if not hasattr(_tools, "compressor"):
        _tools.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    body_id = hashlib.sha256(workspace_id.bytes + content).digest()
    return NewBody(id=body_id, workspace_id=workspace_id, content=_tools.compressor.compress(content), size_bytes=len(content))


def open_body(stored: bytes) -> bytes:
    """The content as it came."""
    if not hasattr(_tools, "decompressor"):
        _tools.decompressor = zstandard.ZstdDecompressor()
    content: bytes = _tools.decompressor.decompress(stored)
    return content
