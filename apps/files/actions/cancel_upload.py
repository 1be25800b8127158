"""Give up an upload, or let it go when its hour is over."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.files.actions.complete_upload import remove_parts
from apps.files.actions.lock_upload import lock_upload, require_pending
from apps.files.models import Upload, UploadStatus

_AT_ONCE = 500


def cancel_upload(*, workspace_id: UUID, public_id: str, now: datetime) -> Upload:
    """The cancelled upload, also when it was cancelled before; ApiError 404 for an unknown one, 409 for one that ended otherwise."""
    with transaction.atomic():
        upload = lock_upload(workspace_id=workspace_id, public_id=public_id)
        if upload.status != UploadStatus.CANCELLED:
            require_pending(upload, now=now)
            upload.status = UploadStatus.CANCELLED
            upload.save(update_fields=["status"])
            remove_parts([upload.id])
    return upload


def expire_uploads(*, now: datetime) -> int:
    """Close uploads whose hour is over and remove what came of them; returns how many."""
    with transaction.atomic():
        due = Upload.objects.select_for_update(skip_locked=True).filter(status=UploadStatus.PENDING, expires_at__lte=now)
        ids = list(due.order_by("expires_at").values_list("id", flat=True)[:_AT_ONCE])
        Upload.objects.filter(id__in=ids).update(status=UploadStatus.EXPIRED)
        remove_parts(ids)
    return len(ids)
