"""Take a part of an upload: bytes to storage first, then the row; whatever fails leaves nothing behind."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Sum

from apps.files.actions.lock_upload import lock_upload, require_pending
from apps.files.models import Part, Upload
from apps.files.queries import require_upload
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile


def add_part(*, workspace_id: UUID, public_id: str, content: "UploadedFile[bytes]", now: datetime) -> Part:
    """The part; ApiError 404 for an unknown upload, 409 when it takes none any more, 400 when the parts would be too long."""
    # Without a lock: parts of one upload may come at once, and a caller's transaction may be around this.
    require_pending(require_upload(workspace_id=workspace_id, public_id=public_id), now=now)
    part_id = uuid7()
    key = f"{workspace_id.hex}/{part_id.hex}"
    size = content.size or 0
    try:
        default_storage.save(key, content)
        with transaction.atomic():
            upload = lock_upload(workspace_id=workspace_id, public_id=public_id)
            require_pending(upload, now=now)
            _check_size(upload, size)
            return Part.objects.create(id=part_id, upload=upload, size_bytes=size, storage_key=key, created_at=now)
    except BaseException:
        default_storage.delete(key)
        raise


def _check_size(upload: Upload, size: int) -> None:
    come = (upload.parts.aggregate(size=Sum("size_bytes"))["size"] or 0) + size
    if come > upload.size_bytes:
        message = f"With this part the upload would have {come:,} bytes; {upload.size_bytes:,} were announced."
        raise ApiError(400, "upload_too_large", message, param="data")
