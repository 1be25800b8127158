"""Read an input file line by line and judge every one, in constant memory; nothing is stored yet."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import SEEK_END
from itertools import pairwise
from typing import BinaryIO
from uuid import UUID

from django.conf import settings

from apps.jobs.domain.input_file import HEAD_BYTES, empty_file, refuse_head, too_many, too_many_lines, too_much
from apps.jobs.domain.intake import ItemSpec, LineError, LineRules, duplicate, read_line, same_id, too_long

ERRORS_KEPT = 1000
_SKIP_BYTES = 1 << 20
# One blank line after each request is a habit; many are a way to keep a worker busy.
_LINES_PER_REQUEST = 2


@dataclass(slots=True)
class Findings:
    """What a file came to: `total` good lines, the models they ask for, the first errors, and how many there are in all."""

    total: int = 0
    model_ids: set[UUID] = field(default_factory=set)
    errors: list[LineError] = field(default_factory=list)
    error_count: int = 0

    def add(self, error: LineError) -> None:
        self.error_count += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append(error)


def check_lines(stream: BinaryIO, rules: LineRules) -> Findings:
    """Judge the whole file, from its beginning; every wrong line is found, the first 1,000 are kept."""
    findings = Findings()
    stream.seek(0)
    if (refusal := refuse_head(stream.read(HEAD_BYTES))) is not None:
        findings.add(refusal)
        return findings
    # 8 bytes a line tell whether a custom_id may stand twice; only then is the file read again to say where.
    marks = array("q")
    # Short lines that name long prompts must not store what no file could bring.
    size, most = 0, max(settings.MAX_FILE_BYTES, stream.seek(0, SEEK_END))
    for judged in read_specs(stream, rules):
        if isinstance(judged, LineError):
            findings.add(judged)
        else:
            marks.append(hash(same_id(judged.custom_id)))
            findings.model_ids.add(judged.model_id)
            size += len(judged.body)
        if len(marks) + findings.error_count > settings.MAX_LINES:
            return Findings(errors=[too_many(settings.MAX_LINES)], error_count=1)
        if size > most:
            return Findings(errors=[too_much(most)], error_count=1)
    findings.total = len(marks)
    if not findings.total and not findings.error_count:
        findings.add(empty_file())
    if doubled := _doubled(marks):
        _find_duplicates(stream, rules, doubled, findings)
    return findings


def read_specs(stream: BinaryIO, rules: LineRules) -> Iterator[ItemSpec | LineError]:
    """Each line that is not blank, judged, in order."""
    stream.seek(0)
    limit, most = settings.MAX_LINE_BYTES, settings.MAX_LINES * _LINES_PER_REQUEST
    number = 0
    # A line end is at most two bytes more.
    while line := stream.readline(limit + 2):
        number += 1
        if number > most:
            yield too_many_lines(most)
            return
        if len(line) > limit and len(line.rstrip(b"\r\n")) > limit:
            _skip_line(stream, line)
            yield too_long(number=number, max_line_bytes=limit)
        elif (judged := read_line(line, number=number, rules=rules)) is not None:
            yield judged


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(_SKIP_BYTES)


def _doubled(marks: "array[int]") -> set[int]:
    return {mark for mark, following in pairwise(sorted(marks)) if mark == following}


def _find_duplicates(stream: BinaryIO, rules: LineRules, doubled: set[int], findings: Findings) -> None:
    first: dict[str, int] = {}
    for spec in read_specs(stream, rules):
        if isinstance(spec, LineError) or hash(same := same_id(spec.custom_id)) not in doubled:
            continue
        if same in first:
            findings.add(duplicate(spec.custom_id, first=first[same], second=spec.position))
        else:
            first[same] = spec.position
    findings.errors.sort(key=lambda error: error.line or 0)
