"""Remove stored bytes that no row knows: what a process wrote that was killed before it could say so."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from django.core.files.storage import default_storage

from apps.files.models import File, Part

# Whoever is still writing has said so long before.
_AGE = timedelta(days=1)
_AT_ONCE = 1000


def remove_strays(*, now: datetime) -> int:
    """Look through the storage; returns how many were removed. A name is the id under which it was written, and tells its time."""
    removed = 0
    folders, _ = default_storage.listdir("")
    for folder in folders:
        if _uuid(folder) is None:
            continue
        names = _old_names(folder, now - _AGE)
        while group := [f"{folder}/{name}" for name in islice(names, _AT_ONCE)]:
            removed += _remove_unknown(group)
    return removed


def _old_names(folder: str, before: datetime) -> Iterator[str]:
    for name in default_storage.listdir(folder)[1]:
        key = _uuid(name)
        # A UUIDv7 begins with the milliseconds since 1970.
        if key is not None and datetime.fromtimestamp((key.int >> 80) / 1000, UTC) < before:
            yield name


def _remove_unknown(keys: Sequence[str]) -> int:
    known = set(File.objects.present().filter(storage_key__in=keys).values_list("storage_key", flat=True))
    known.update(Part.objects.filter(storage_key__in=keys).values_list("storage_key", flat=True))
    unknown = [key for key in keys if key not in known]
    for key in unknown:
        default_storage.delete(key)
    return len(unknown)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(hex=text)
    except ValueError:
        return None
