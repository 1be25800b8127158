"""Uploads go to temporary files, as Django spools them; one that can't be written to its end is removed at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from django.core.files.uploadhandler import TemporaryFileUploadHandler

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile


class SpooledUploadHandler(TemporaryFileUploadHandler):
    """Django leaves a file that it could not write to the garbage collector; on a full disk its bytes are needed now."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._removed_when_it_fails():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> "UploadedFile[bytes] | None":
        with self._removed_when_it_fails():
            # Writes what is still in the buffer.
            return super().file_complete(file_size)

    @contextmanager
    def _removed_when_it_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            # Closing writes the rest, in vain again, and removes the file.
            with suppress(OSError):
                self.file.close()
            raise
