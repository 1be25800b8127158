"""Look at an uploaded table or batch file before it is submitted: the first requests, what is wrong, what it may cost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

import orjson

from apps.files.actions import Table, TableUnreadableError, read_table
from apps.files.queries import open_file
from apps.jobs.actions.check_lines import read_specs
from apps.jobs.domain.estimate import Estimate, count_request_tokens, estimate_job
from apps.jobs.domain.export_table import is_like_formula
from apps.jobs.domain.input_file import HEAD_BYTES, empty_file, refuse_head
from apps.jobs.domain.intake import ENDPOINTS, ItemSpec, LineError, LineRules, duplicate, same_id
from apps.jobs.domain.table_prompt import CHAT, PromptRefusedError, TablePrompt, check_prompt, request_body
from apps.providers.domain.catalogue import CallableModel
from apps.providers.domain.policy import PLAIN, AnswerPolicy
from apps.providers.queries import find_callable, load_catalogue
from apps.spend.queries import find_usual_output_tokens, load_price_book

_SHOWN_REQUESTS = 3
_SHOWN_ERRORS = 20
_COUNTED_REQUESTS = 500
# Beyond this a page would take too long; the worker that validates reads all.
_READ_SECONDS = 3.0
_READ_LINES = 2_000
_READ_BYTES = 16 << 20
_COUNTED_BYTES = 2 << 20
_CHUNK_BYTES = 1 << 20
_BLANK = b" \t\r\n"


@dataclass(slots=True)
class Preview:
    """What was found; `is_whole` tells whether all of the file was looked at, `requests` is an estimate otherwise.

    `is_readable` is False for what is no table or batch file at all. `formulas` counts cells that look like one; `formula` is the first.
    """

    endpoint: str = CHAT
    columns: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    samples: list[dict[str, Any]] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    error_count: int = 0
    requests: int = 0
    formulas: int = 0
    formula: str = ""
    is_whole: bool = True
    is_readable: bool = True
    model: str = ""
    estimate: Estimate | None = None

    def refuse(self, error: LineError) -> None:
        self.error_count += 1
        if len(self.errors) < _SHOWN_ERRORS:
            self.errors.append(error)


def preview_table(*, file_id: UUID, prompt: TablePrompt, now: datetime) -> Preview:
    """The rows as they would be asked. What is wrong stands in `errors`; FileGoneError when the file is gone."""
    preview = Preview(model=prompt.model)
    counted: list[int] = []
    try:
        with read_table(file_id=file_id, sheet=prompt.sheet, stop_after_seconds=_READ_SECONDS) as table:
            preview.columns, preview.sheets = table.columns, table.sheets
            check_prompt(prompt, table.columns)
            _look_at_rows(table, prompt, preview, counted)
    except PromptRefusedError as error:
        preview.refuse(LineError("invalid_prompt", str(error)))
    except TableUnreadableError as error:
        preview.is_readable = bool(preview.columns or prompt.sheet)
        preview.refuse(LineError("invalid_table", error.message, line=error.line))
    if not preview.requests and not preview.error_count:
        preview.refuse(LineError("empty_file", "The table has a header and no rows."))
    preview.estimate = _estimate(preview, counted, prompt.max_tokens, now)
    return preview


def _look_at_rows(table: Table, prompt: TablePrompt, preview: Preview, counted: list[int]) -> None:
    size = rows = 0
    for row in table.rows:
        if row.error:
            preview.refuse(LineError("invalid_row", row.error, line=row.line))
            continue
        rows += 1
        _note_formulas(row.cells, preview)
        if len(counted) < _COUNTED_REQUESTS and size < _COUNTED_BYTES:
            body = request_body(prompt, dict(zip(table.columns, row.cells, strict=True)))
            counted.append(count_request_tokens(body))
            size += sum(map(len, row.cells))
            if len(preview.samples) < _SHOWN_REQUESTS:
                preview.samples.append({"name": f"line {row.line}", "body": body, "text": _shown(body)})
    preview.is_whole = table.share_read == 1
    preview.requests = rows if preview.is_whole else round(rows / max(table.share_read, 1e-6))


def _note_formulas(cells: Sequence[str], preview: Preview) -> None:
    for cell in cells:
        if is_like_formula(cell):
            preview.formulas += 1
            preview.formula = preview.formula or cell


def preview_batch(*, file_id: UUID, now: datetime, policy: AnswerPolicy = PLAIN) -> Preview:
    """The first lines of a batch file, by the rules of the API; its endpoint is the first line's."""
    with open_file(file_id) as stream:
        if (refusal := refuse_head(stream.read(HEAD_BYTES))) is not None:
            return Preview(errors=[refusal], error_count=1, is_readable=False)
        preview = Preview(endpoint=_first_endpoint(stream))
        models: Counter[UUID] = Counter()
        counted, limits = _look_at_lines(stream, preview, models, policy)
        preview.requests = sum(models.values()) if preview.is_whole else _count_lines(stream) - preview.error_count
    if not preview.requests and not preview.error_count:
        preview.refuse(empty_file())
    if models:
        names = {model_id: name for name, model_id in load_catalogue().ids.items()}
        preview.model = names[models.most_common(1)[0][0]]
    preview.estimate = _estimate(preview, counted, max(limits) if limits else None, now)
    return preview


def _look_at_lines(stream: BinaryIO, preview: Preview, models: "Counter[UUID]", policy: AnswerPolicy) -> tuple[list[int], list[int]]:
    """(tokens of each request, the limits of answers that some state)."""
    counted: list[int] = []
    limits: list[int] = []
    first: dict[str, int] = {}
    size = 0
    specs = read_specs(stream, LineRules(endpoint=preview.endpoint, model_id=load_catalogue().model_id, policy=policy))
    for spec in islice(specs, _READ_LINES):
        if isinstance(spec, LineError):
            preview.refuse(spec)
            continue
        if (same := first.setdefault(same_id(spec.custom_id), spec.position)) != spec.position:
            preview.refuse(duplicate(spec.custom_id, first=same, second=spec.position))
            continue
        models[spec.model_id] += 1
        size += len(spec.body)
        if len(counted) < _COUNTED_REQUESTS and size < _COUNTED_BYTES:
            body = orjson.loads(spec.body)
            counted.append(count_request_tokens(body))
            limits += [body[name] for name in ("max_tokens", "max_completion_tokens") if type(body.get(name)) is int]
            if len(preview.samples) < _SHOWN_REQUESTS:
                preview.samples.append(_sample(spec, body))
        if size > _READ_BYTES:
            break
    preview.is_whole = next(specs, None) is None
    return counted, limits


def _sample(spec: ItemSpec, body: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"{spec.custom_id} (line {spec.position})", "body": body, "text": _shown(body)}


def _shown(body: dict[str, Any]) -> str:
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


def _first_endpoint(stream: BinaryIO) -> str:
    stream.seek(0)
    for line in islice(_short_lines(stream), 100):
        try:
            endpoint = orjson.loads(line).get("url")
        except (orjson.JSONDecodeError, AttributeError):
            continue
        if endpoint in ENDPOINTS:
            return str(endpoint)
    return CHAT


def _short_lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_CHUNK_BYTES):
        if line.strip(_BLANK):
            yield line


def _count_lines(stream: BinaryIO) -> int:
    """Lines that hold something, blank ones among them only if they are rare: a count for people."""
    stream.seek(0)
    count, last = 0, b"\n"
    while chunk := stream.read(_CHUNK_BYTES):
        count += chunk.count(b"\n")
        last = chunk[-1:]
    return count + (last != b"\n")


def _estimate(preview: Preview, counted: Sequence[int], limit: int | None, now: datetime) -> Estimate | None:
    model = find_callable(preview.model) if preview.model else None
    if model is None or not counted:
        return None
    route = load_catalogue().routes(model.id)[0]
    return estimate_job(
        counted=counted,
        requests=preview.requests,
        usual_output_tokens=find_usual_output_tokens(provider_id=route.provider_id, upstream_model=route.upstream_model),
        most_output_tokens=_most_output(model, limit),
        price=load_price_book().price(route.provider_id, route.upstream_model, now),
    )


def _most_output(model: CallableModel, limit: int | None) -> int:
    return min(limit, model.max_output_tokens) if limit else model.max_output_tokens
