"""Erase the files of a workspace that is being deleted: bytes first, then rows, so that whatever stops it leaves no bytes without a row."""

from uuid import UUID

from django.core.files.storage import default_storage

from apps.files.models import File, Part, Upload


def erase_files(*, workspace_id: UUID, at_once: int) -> int:
    """Parts, uploads and files, so many at a time; how many went. 0 when none is left, and no bytes either."""
    parts = list(Part.objects.filter(upload__workspace_id=workspace_id)[:at_once])
    if parts:
        _remove([part.storage_key for part in parts])
        return Part.objects.filter(id__in=[part.id for part in parts]).delete()[0]
    uploads = list(Upload.objects.filter(workspace_id=workspace_id).values_list("id", flat=True)[:at_once])
    if uploads:
        return Upload.objects.filter(id__in=uploads).delete()[0]
    files = list(File.objects.filter(workspace_id=workspace_id)[:at_once])
    if files:
        _remove([file.storage_key for file in files if file.deleted_at is None])
        return File.objects.filter(id__in=[file.id for file in files]).delete()[0]
    return _erase_strays(workspace_id.hex, at_once)


def _remove(keys: list[str]) -> None:
    for key in keys:
        default_storage.delete(key)


def _erase_strays(folder: str, at_once: int) -> int:
    """Bytes that no row knows: of somebody who was killed while writing. Then the folder itself."""
    try:
        names = default_storage.listdir(folder)[1][:at_once]
    except FileNotFoundError:
        return 0
    _remove([f"{folder}/{name}" for name in names])
    if not names:
        default_storage.delete(folder)
    return len(names)
