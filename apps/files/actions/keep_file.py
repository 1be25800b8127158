"""Keep a file longer than was said when it came."""

from datetime import datetime
from uuid import UUID

from apps.files.models import File


def keep_file(*, file_id: UUID, until: datetime | None) -> None:
    """It expires at `until` now; None: never. A deleted file stays deleted."""
    File.objects.present().filter(id=file_id).update(expires_at=until)
