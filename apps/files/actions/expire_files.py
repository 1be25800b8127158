"""Let go of files whose time is over."""

from datetime import datetime

from apps.files.actions.delete_file import delete_file
from apps.files.models import File

_AT_ONCE = 1000


def expire_files(*, now: datetime) -> int:
    """Delete what has expired; returns how many. The rest of a big heap goes with the next call."""
    due = File.objects.present().filter(expires_at__lte=now).order_by("expires_at").values_list("id", flat=True)[:_AT_ONCE]
    return sum(delete_file(file_id=file_id, now=now) for file_id in due)
