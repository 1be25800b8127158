"""Announce a file that comes in parts."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from apps.files.domain.parts import UPLOAD_SECONDS, read_upload_request
from apps.files.domain.upload import UploadRefusedError, plain_name
from apps.files.models import Upload
from apps.files.queries import find_lack_of_space
from apps.lib.http_errors import ApiError


def start_upload(*, workspace_id: UUID, api_key_id: UUID, values: object, now: datetime) -> Upload:
    """The upload, which takes parts for an hour; ApiError (400) names the parameter that is wrong."""
    try:
        request = read_upload_request(values, most_bytes=settings.MAX_FILE_BYTES)
    except UploadRefusedError as refused:
        raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
    if lack := find_lack_of_space(request.size_bytes):
        raise lack
    return Upload.objects.create(
        workspace_id=workspace_id,
        api_key_id=api_key_id,
        purpose=request.purpose,
        filename=plain_name(request.filename),
        size_bytes=request.size_bytes,
        file_expires_after_seconds=request.expires_after_seconds,
        created_at=now,
        expires_at=now + timedelta(seconds=UPLOAD_SECONDS),
    )
