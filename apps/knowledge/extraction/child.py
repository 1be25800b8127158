"""The program that reads one document: from standard input, by what READING in its environment says, to standard output as one JSON object.

`{"extracted": {...}}` or `{"refused": [code, message], "where": "..."}`, where `where` is for our log when a library failed in its own way.
Started by `extract`; it sees no settings, no database and no secrets.
"""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted
from apps.knowledge.extraction.kinds import reader_of
from apps.knowledge.extraction.source import Source
from apps.lib.confine import bound, die_with, shut_in

_PLACES = 5
_MOST_DESCRIPTORS = 64


def main() -> None:
    """Whatever a library prints goes nowhere; the answer is the only thing on the pipe."""
    reading = orjson.loads(os.environ.pop("READING"))
    die_with(reading["parent"])
    answers = os.dup(1)
    os.dup2(2, 1)
    limits = Limits(**reading["limits"])
    # The signal of the first limit of processor time says what it was; the second one ends who doesn't heed it.
    bound(memory_bytes=limits.memory_bytes, cpu_seconds=limits.cpu_seconds, grace_seconds=1, descriptors=_MOST_DESCRIPTORS)
    answer = _answer(reading["filename"], limits)
    os.set_blocking(answers, True)
    rest = memoryview(orjson.dumps(answer))
    while rest:
        rest = rest[os.write(answers, rest) :]
    # No library gets a last word.
    os._exit(0)


def _answer(filename: str, limits: Limits) -> dict[str, Any]:
    try:
        with os.fdopen(0, "rb") as stream:
            source = Source(content=stream.read(), filename=filename, limits=limits)
        return {"extracted": _read(reader_of(source), source)}
    except Refused as refused:
        return {"refused": [refused.code, refused.message]}
    except MemoryError:
        return {"refused": ["out_of_memory", "Reading it needs more memory than one document may have. Split it, or save it anew."]}
    except Exception as error:  # noqa: BLE001 -- libraries raise anything on a damaged file; its kind is told
        message = f"It can't be read ({type(error).__name__}). Open it with its program and save it anew."
        return {"refused": ["damaged", message], "where": _where(error)}


def _where(error: Exception) -> str:
    """The places in programs, nothing of the document."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    return " < ".join(f"{Path(frame.filename).stem}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def _read(reader: Callable[[Source], Extracted], source: Source) -> Extracted:
    shut_in("A reader of documents")
    return reader(source)


if __name__ == "__main__":
    sys.setrecursionlimit(2_000)
    main()
