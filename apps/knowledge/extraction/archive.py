"""Many documents in one zip archive, one after the other; nothing of a bad one, and nothing that stays on the disk."""

import io
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.names import member_name
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction.package import package_type
from apps.lib.zip_packages import DAMAGED_ZIP, is_encrypted

_LOCAL_HEADER = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_LARGE_MARK = b"PK\x06\x06"
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
_LARGE_LOCATOR_BYTES = 20
# Then the other record, of large archives, says it.
_TOO_MANY, _TOO_LARGE = 0xFFFF, 0xFFFFFFFF
_LONGEST_END = (1 << 16) + 200
# Of the archive's own table, for each member: a name, a comment, what programs note beside them.
_TABLE_BYTES_A_MEMBER = 400
_CHUNK_BYTES = 1 << 20
_RATIO_FROM_BYTES = 1 << 20
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_MOST_NAME_CHARACTERS = 1_000
# What programs put beside the documents.
_BESIDE = {".ds_store", "thumbs.db", "desktop.ini"}
_BESIDE_FOLDERS = {"__macosx", ".git", ".svn"}


@dataclass(frozen=True, slots=True)
class Member:
    """A document of an archive. `stream` has its bytes, until the next member is asked for; no name on the disk leads to it."""

    name: str
    size: int
    stream: IO[bytes]


def is_archive(file: IO[bytes]) -> bool:
    """True for a zip that is no document itself (as .docx, .pptx, .xlsx are) and may be unpacked; Refused when it is a damaged one."""
    file.seek(0)
    if file.read(len(_LOCAL_HEADER)) != _LOCAL_HEADER:
        return False
    _check_table(file, Limits())
    with _opened(file) as archive:
        return _holds_documents(archive)


def unpack(file: IO[bytes], *, limits: Limits) -> Iterator[Member]:
    """The documents of a zip, and of zips within it (no deeper), in the archive's order; folders and programs' own notes are left out.

    All of it is looked at before the first member comes: Refused when a name leads out of the archive, twice to the same place or to
    something that is no file, when something is encrypted, or when there is too much, counted in what really comes out.
    """
    count = _Count(limits)
    for _ in _members(file, "", count):
        pass
    if not count.names:
        raise Refused("empty", "There is no document in the archive.")
    yield from _members(file, "", _Count(limits))


class _Count:
    """What has come out so far, over all levels."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.names: set[str] = set()
        self.members = self.unpacked = 0

    def add_members(self, number: int) -> None:
        self.members += number
        if self.members > self.limits.max_members:
            message = f"The archive has more than {self.limits.max_members:,} members. Split it into several archives."
            raise Refused("too_many_members", message)

    def add_name(self, name: str) -> None:
        # As the documents are called in the end: of two of one name the second would take the first one's place.
        called = member_name(name).casefold()
        if called in self.names:
            raise Refused("bad_name", f"Two members of the archive would be the document {_shown(member_name(name))}.")
        self.names.add(called)

    def add_bytes(self, name: str, chunk: int, unpacked: int, packed: int) -> None:
        self.unpacked += chunk
        if self.unpacked > self.limits.max_unpacked_bytes:
            message = f"The archive unpacks to more than {self.limits.max_unpacked_bytes / 1e6:,.0f} MB. Split it into several archives."
            raise Refused("bomb", message)
        if unpacked > _RATIO_FROM_BYTES and unpacked > packed * self.limits.max_ratio:
            message = f"{_shown(name)} unpacks to more than {self.limits.max_ratio} times its size, which no document does. Leave it out."
            raise Refused("bomb", message)


def _members(file: IO[bytes], folder: str, count: _Count) -> Iterator[Member]:
    _check_table(file, count.limits)
    with _opened(file) as archive:
        count.add_members(len(archive.infolist()))
        # All names first: what one of them is tells whether any can be trusted.
        documents = [(part, name) for part in archive.infolist() if (name := _name_of(part))]
        for part, name in documents:
            with tempfile.TemporaryFile(prefix="aiplatform-member-") as stream:
                size = _unpack_one(archive, part, folder + name, stream, count)
                if not _is_archive_within(stream):
                    count.add_name(folder + name)
                    yield Member(name=folder + name, size=size, stream=stream)
                elif folder:
                    raise Refused("bomb", f"{_shown(folder + name)} is an archive in an archive in an archive. Unpack it first.")
                else:
                    yield from _members(stream, f"{name}/", count)


def _opened(file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except DAMAGED_ZIP as error:
        raise _damaged() from error


def _unpack_one(archive: zipfile.ZipFile, part: zipfile.ZipInfo, name: str, stream: IO[bytes], count: _Count) -> int:
    size = 0
    for chunk in _chunks(archive, part):
        size += len(chunk)
        count.add_bytes(name, len(chunk), size, part.compress_size)
        if size > count.limits.max_bytes:
            raise Refused("too_large", f"{_shown(name)} has more than {count.limits.max_bytes / 1e6:,.1f} MB, the most for one document.")
        stream.write(chunk)
    stream.seek(0)
    return size


def _chunks(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """What really comes out, whatever the archive's table says of it."""
    try:
        with archive.open(part) as content:
            while chunk := content.read(_CHUNK_BYTES):
                yield chunk
    except DAMAGED_ZIP as error:
        raise _damaged() from error


def _is_archive_within(stream: IO[bytes]) -> bool:
    if stream.read(len(_LOCAL_HEADER)) != _LOCAL_HEADER:
        stream.seek(0)
        return False
    try:
        with zipfile.ZipFile(stream) as archive:
            return _holds_documents(archive)
    except DAMAGED_ZIP:
        return False  # whoever reads it as a document says what is wrong with it
    finally:
        stream.seek(0)


def _holds_documents(archive: zipfile.ZipFile) -> bool:
    """Office documents, OpenDocument and books (EPUB) are archives, too."""
    return package_type(archive) is None and "mimetype" not in archive.namelist()


def _name_of(part: zipfile.ZipInfo) -> str:
    """Its path within the archive; "" for what is no document; Refused for what is a trap."""
    name = part.orig_filename
    steps = name.replace("\\", "/").split("/")
    if is_encrypted(part):
        raise Refused("encrypted", f"{_shown(name)} is encrypted. Make the archive without a password.")
    if part.compress_type not in _METHODS:
        raise Refused(
            "unsupported_format", f"{_shown(name)} is packed in a way that is not read. Make the archive with an ordinary zip program."
        )
    kind = stat.S_IFMT(part.external_attr >> 16)
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise Refused("bad_name", f"{_shown(name)} is a link or device, and no file. Put the file itself into the archive.")
    if ".." in steps or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        raise Refused("bad_name", f"{_shown(name)} leads out of the archive. Make it anew, with names below its own folder.")
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name) or len(name) > _MOST_NAME_CHARACTERS:
        raise Refused("bad_name", f"{_shown(name)} is no name of a file: it is too long or has control characters.")
    if (
        part.is_dir()
        or steps[-1].lower() in _BESIDE
        or {step.lower() for step in steps[:-1]} & _BESIDE_FOLDERS
        or steps[-1].startswith("._")
    ):
        return ""
    return "/".join(step for step in steps if step not in {"", "."})


def _check_table(file: IO[bytes], limits: Limits) -> None:
    """The archive's table is read into memory as a whole: Refused before that when it lists more than an archive may have."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _LONGEST_END))
    tail = file.read(_LONGEST_END)
    file.seek(0)
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise _damaged()
    _, _, _, _, entries, table_bytes, _, _ = _END.unpack_from(tail, at)
    large = at - _LARGE_LOCATOR_BYTES - _LARGE_END.size
    if large >= 0 and tail.startswith(_LARGE_MARK, large):
        *_, large_entries, large_bytes, _ = _LARGE_END.unpack_from(tail, large)
        entries = large_entries if entries == _TOO_MANY else max(entries, large_entries)
        table_bytes = large_bytes if table_bytes == _TOO_LARGE else max(table_bytes, large_bytes)
    if entries > limits.max_members or table_bytes > limits.max_members * _TABLE_BYTES_A_MEMBER:
        message = f"The archive has more than {limits.max_members:,} members. Split it into several archives."
        raise Refused("too_many_members", message)


def _damaged() -> Refused:
    return Refused("damaged", "The archive is damaged, or was cut short on its way. Make it anew and upload it again.")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:97]}...")
