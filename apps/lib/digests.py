"""The SHA-256 of an uploaded file, computed once per request."""

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

_CHUNK_BYTES = 1024 * 1024
_known: "WeakKeyDictionary[UploadedFile[bytes], str]" = WeakKeyDictionary()


def digest_of(upload: "UploadedFile[bytes]") -> str:
    """In hex; reads the file through the first time, in constant memory."""
    if upload not in _known:
        digest = hashlib.sha256()
        for chunk in upload.chunks(_CHUNK_BYTES):
            digest.update(chunk)
        _known[upload] = digest.hexdigest()
    return _known[upload]
