"""The documents of a folder that benches read."""

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.knowledge.domain.formats import ENDINGS, PLAIN, TYPE_OF_ENDING, ending_of

_PACKED = ".gz"


def name_of(path: Path) -> str:
    """What the document is called when it is unpacked."""
    return path.name.removesuffix(_PACKED)


def type_of(path: Path) -> str | None:
    """The media type that its name says."""
    return TYPE_OF_ENDING.get(ending_of(name_of(path)))


def format_of(path: Path) -> str:
    """For tables: as names of such documents end."""
    return ENDINGS[type_of(path) or PLAIN][0].removeprefix(".")


def choose(folder: Path, most: int) -> list[Path]:
    """Round by round one of each format, each name once, at any depth."""
    by_format: dict[str, dict[str, Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size):
        if media_type := type_of(path):
            by_format.setdefault(media_type, {}).setdefault(name_of(path), path)
    rounds = [list(paths.values()) for paths in by_format.values()]
    longest = max(map(len, rounds), default=0)
    return [paths[number] for number in range(longest) for paths in rounds if number < len(paths)][:most]


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Where its bytes stand without gzip, for as long as the context lasts."""
    if path.suffix != _PACKED:
        yield path
        return
    with tempfile.NamedTemporaryFile() as file, gzip.open(path) as stream:
        shutil.copyfileobj(stream, file)
        file.flush()
        yield Path(file.name)
