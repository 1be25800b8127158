"""Let go of files whose time is over."""

from datetime import datetime, timedelta

from django.conf import settings

from apps.files.actions.delete_file import remove_file
from apps.files.models import File

_AT_ONCE = 1000
# No upload takes a day; what is older was left by a process that was killed while it wrote.
_SPOOLED_AT_MOST = timedelta(days=1)


def expire_files(*, now: datetime) -> int:
    """Delete what has expired; returns how many. The rest of a big heap goes with the next call."""
    _clear_spool(before=now - _SPOOLED_AT_MOST)
    due = File.objects.present().filter(expires_at__lte=now).order_by("expires_at").values_list("id", flat=True)[:_AT_ONCE]
    return sum(remove_file(file_id=file_id, now=now) for file_id in due)


def _clear_spool(*, before: datetime) -> None:
    for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir():
        if path.stat().st_mtime < before.timestamp():
            path.unlink(missing_ok=True)
