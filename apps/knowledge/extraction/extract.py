"""Read one document through a process of its own: whatever the file holds, only that process suffers."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from select import POLLIN, poll
from typing import IO, Any

import orjson

import apps
from apps.knowledge.domain.formats import NAMES
from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.refusals import CODES, Refused
from apps.knowledge.domain.sections import KINDS, Extracted, Section

_ROOT = Path(apps.__path__[0]).resolve().parent
_PROGRAM = "apps.knowledge.extraction.child"
_CHUNK_BYTES = 1 << 20
# The answer as JSON: each character takes up to four bytes, and each section some more for what stands beside its text.
_BYTES_A_CHARACTER = 4
_BYTES_BESIDE = 16 << 20
_MOST_NAME_CHARACTERS = 255
_NEARLY_ALL = 0.7
_MOST_NUMBER = 1 << 31
_CRASHED = (
    "The program that reads documents broke down on it ({}): it is damaged, made to do harm, or needs more memory than one document may"
    " have. Open it with its program and save it anew."
)
_TOO_LONG = "Reading it takes longer than one document may ({:.0f} s). Split it, or save it anew."
_TOO_LONG_A_TEXT = "It has more text than one document may. Split it into several documents."
_TOO_MUCH = "Reading it needs more memory than one document may have. Split it, or save it anew."


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the program ended: by its status, or because it was not waited for; and what it took."""

    cut_by: str
    returncode: int
    memory_bytes: int
    cpu_seconds: float


def extract(document: IO[bytes], *, filename: str, limits: Limits) -> Extracted:
    """What the document says; Refused with the reason when it can't be read, or not within the limits.

    `document` is a file of the system, open, with everything written out; it needs no name there, and is read from its beginning.
    `filename` is what its sender calls it.
    """
    size = os.fstat(document.fileno()).st_size
    if size > limits.max_bytes:
        message = f"It has {size / 1e6:,.1f} MB; {limits.max_bytes / 1e6:,.1f} MB at most. Split it into several documents."
        raise Refused("too_large", message)
    if not size:
        raise Refused("empty", "The file is empty.")
    output, ended = _run(document.fileno(), filename, limits)
    return _understood(output, ended, limits)


def _run(document: int, filename: str, limits: Limits) -> tuple[bytes, _Ended]:
    """What the program says, and how it ended. Neither it nor anything that it may have started is left."""
    os.lseek(document, 0, os.SEEK_SET)
    folder = tempfile.mkdtemp(prefix="aiplatform-reading-")
    reading = {"parent": os.getpid(), "limits": asdict(limits), "filename": _encodable(filename)}
    try:
        process = _start(document, folder, reading)
    finally:
        # It stands in the folder as long as it runs, and can make nothing there: without a name there is nothing that could stay.
        Path(folder).rmdir()
    assert process.stdout is not None  # noqa: S101 -- for mypy: it is a pipe
    try:
        output, cut_by = _all_of(process.stdout.fileno(), limits)
    finally:
        # It may not be gone by itself, though its end of the pipe is; what it came to is settled when it has closed that.
        os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
    # A new process begins with the peak of the one that started it: less than that tells nothing.
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = usage.ru_maxrss * 1024 if usage.ru_maxrss > own_peak else 0
    return output, _Ended(cut_by, process.returncode, memory, usage.ru_utime + usage.ru_stime)


def _start(document: int, folder: str, reading: dict[str, Any]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 -- our own program, without a shell
        [sys.executable, "-P", "-m", _PROGRAM],
        stdin=document,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        # Nothing of ours: the secrets in it are none of that program's business.
        env={"PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "READING": orjson.dumps(reading).decode()},
        start_new_session=True,
    )


def _encodable(filename: str) -> str:
    return filename[-_MOST_NAME_CHARACTERS:].encode(errors="replace").decode().replace("\0", "")


def _all_of(pipe: int, limits: Limits) -> tuple[bytes, str]:
    """Everything up to the end of the pipe; and "time" or "size" when it was not waited for."""
    until = time.monotonic() + limits.wall_seconds
    most = limits.max_characters * _BYTES_A_CHARACTER + _BYTES_BESIDE
    ready = poll()
    ready.register(pipe, POLLIN)
    output = bytearray()
    while (left := until - time.monotonic()) > 0:
        if not ready.poll(left * 1000):
            break
        chunk = os.read(pipe, _CHUNK_BYTES)
        if not chunk:
            return bytes(output), ""
        output += chunk
        if len(output) > most:
            return b"", "size"
    return b"", "time"


def _understood(output: bytes, ended: _Ended, limits: Limits) -> Extracted:
    try:
        answer = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise _reason(ended, limits) from None
    match answer:
        case {"extracted": {"sections": [_, *_]} as found}:
            return _checked(found)
        case {"refused": [str(code), str(message)]} if code in CODES:
            if where := answer.get("where"):
                _log_failure(message, str(where))
            raise Refused(code, message)
    raise Refused("crashed", _CRASHED.format("its answer makes no sense"))


def _log_failure(message: str, where: str) -> None:
    """A defect of ours would look like a damaged document, but for this."""
    import structlog  # noqa: PLC0415 -- the program that reads imports this package as well, and would take twice as long to start

    log = structlog.get_logger(__name__)
    log.warning("documents.unreadable", why=message[:_MOST_NAME_CHARACTERS], where=where[: 4 * _MOST_NAME_CHARACTERS])


def _checked(found: dict[str, Any]) -> Extracted:
    """A program that a file has taken over may say anything."""
    try:
        sections = tuple(Section(**section) for section in found.pop("sections"))
        extracted = Extracted(**found, sections=sections)
    except TypeError:
        raise Refused("crashed", _CRASHED.format("its answer makes no sense")) from None
    texts = [extracted.media_type, extracted.title, extracted.language]
    texts += [text for section in sections for text in (section.text, section.anchor)]
    numbers = (extracted.pages, *(section.level for section in sections))
    if not (
        all(type(text) is str and "\0" not in text for text in texts)
        and all(type(number) is int and 0 <= number < _MOST_NUMBER for number in numbers)
        and extracted.media_type in NAMES
        and all(section.kind in KINDS for section in sections)
    ):
        raise Refused("crashed", _CRASHED.format("its answer makes no sense"))
    return extracted


def _reason(ended: _Ended, limits: Limits) -> Refused:
    """Why there is no answer."""
    if ended.cut_by == "time" or ended.returncode == -signal.SIGXCPU or ended.cpu_seconds >= limits.cpu_seconds:
        return Refused("timed_out", _TOO_LONG.format(limits.wall_seconds if ended.cut_by == "time" else limits.cpu_seconds))
    if ended.cut_by == "size":
        return Refused("too_large", _TOO_LONG_A_TEXT)
    # Programs in C end themselves when they get no memory; a SIGKILL that is none of ours is the system's, for want of it.
    if ended.returncode == -signal.SIGKILL or ended.memory_bytes >= limits.memory_bytes * _NEARLY_ALL:
        return Refused("out_of_memory", _TOO_MUCH)
    name = signal.Signals(-ended.returncode).name if ended.returncode < 0 else f"exit status {ended.returncode}"
    return Refused("crashed", _CRASHED.format(name))
