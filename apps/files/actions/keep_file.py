"""Keep a file that was to go soon: somebody works with it."""

from datetime import datetime
from uuid import UUID

from apps.files.models import File
from apps.files.queries import find_usual_expiry


def keep_file(*, file_id: UUID, now: datetime) -> None:
    """From now on as long as its workspace keeps files. A deleted file stays deleted."""
    file = File.objects.present().filter(id=file_id).first()
    if file is not None:
        File.objects.present().filter(id=file_id).update(expires_at=find_usual_expiry(workspace_id=file.workspace_id, now=now))
