"""Lock a caller's upload for a change, and say why a change is refused."""

from datetime import datetime
from uuid import UUID

from apps.files.models import UPLOAD_PREFIX, Upload, UploadStatus
from apps.files.queries import no_such_upload
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import parse_public_id


def lock_upload(*, workspace_id: UUID, public_id: str) -> Upload:
    """The caller's upload, locked until the transaction ends; ApiError 404 when there is none."""
    upload_id = parse_public_id(UPLOAD_PREFIX, public_id)
    rows = Upload.objects.select_for_update(of=("self",)).filter(workspace_id=workspace_id)
    upload = rows.filter(id=upload_id).first() if upload_id else None
    if upload is None:
        raise no_such_upload(public_id)
    return upload


def require_pending(upload: Upload, *, now: datetime) -> None:
    """ApiError 409 when the upload takes no parts any more."""
    status = UploadStatus.EXPIRED if upload.status == UploadStatus.PENDING and upload.expires_at <= now else upload.status
    if status != UploadStatus.PENDING:
        message = f"This upload is {status}; it takes nothing more. Start a new one."
        raise ApiError(409, "invalid_state", message, headers=GIVE_UP)
