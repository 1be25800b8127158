"""Files for tests, and where their bytes are."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from apps.accounts.models import Workspace
from apps.files.actions import create_file
from apps.files.models import File
from tests.factories.accounts import make_workspace

# Yesterday at noon: files are not kept for ever.
NOW = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


def make_file(
    content: bytes = b"one\n",
    *,
    workspace: Workspace | None = None,
    purpose: str = "batch",
    filename: str = "a.jsonl",
    expires_after_seconds: int | None = None,
    now: datetime = NOW,
) -> File:
    return create_file(
        workspace_id=(workspace or make_workspace()).id,
        api_key_id=None,
        purpose=purpose,
        filename=filename,
        content=io.BytesIO(content),
        expires_after_seconds=expires_after_seconds,
        now=now,
    )


def stored_names() -> list[str]:
    """What is in the storage's folder, the spool of incoming uploads included."""
    root = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
