"""Files as the OpenAI API shows them."""

from typing import Any

from apps.files.models import File


def show_file(file: File) -> dict[str, Any]:
    """The file object of OpenAI's API; times in Unix seconds."""
    return {
        "id": file.public_id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()) if file.expires_at else None,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }
