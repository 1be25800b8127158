"""Look at an uploaded table or batch file before it is submitted: the first requests, what is wrong, what it may cost."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import reduce
from io import BytesIO
from itertools import islice
from operator import add
from typing import Any, BinaryIO
from uuid import UUID

import orjson
from django.conf import settings

from apps.files.actions import Table, TableUnreadableError, read_table
from apps.files.queries import open_file
from apps.jobs.actions.check_lines import read_specs
from apps.jobs.actions.check_tools import tool_checker
from apps.jobs.actions.estimate_work import estimate_work
from apps.jobs.actions.expand_prompts import prompt_expander
from apps.jobs.domain.estimate import Estimate
from apps.jobs.domain.export_table import is_like_formula
from apps.jobs.domain.input_file import HEAD_BYTES, empty_file, refuse_head, too_many
from apps.jobs.domain.intake import ENDPOINTS, ItemSpec, LineError, LineRules, duplicate, same_id
from apps.jobs.domain.seen import Seen
from apps.jobs.domain.table_prompt import CHAT, PromptRefusedError, TablePrompt, check_prompt, request_body
from apps.lib.tokenizer import load_tokenizer
from apps.providers.domain.calls import Stage
from apps.providers.domain.dearest import Quoter
from apps.providers.domain.policy import PLAIN, AnswerPolicy
from apps.providers.queries import load_catalogue
from apps.spend.queries import load_price_book

_SHOWN_REQUESTS = 3
_SHOWN_ERRORS = 20
# Beyond this an answer would take too long, and keep others waiting; the worker that validates reads all.
_READ_SECONDS = 3.0
_READ_LINES = 20_000
_READ_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_BLANK = b" \t\r\n"


@dataclass(slots=True)
class Preview:
    """What was found; `is_whole` tells whether all of the file was looked at, `requests` is an estimate otherwise.

    `is_readable` is False for what is no table or batch file at all. `formulas` counts cells that look like one; `formula` is the first.
    `workspace_id`, `feature` and `end_user` are whose requests they are, where lines don't say; `whole_factor` is how much more than what
    was seen the whole file is, in bytes. `most_usd` is the sum of what is reserved for each request.
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
    policy: AnswerPolicy = PLAIN
    workspace_id: UUID | None = None
    feature: str = ""
    end_user: str = ""
    seen: Seen = field(default_factory=Seen)
    whole_factor: float = 1.0
    estimate: Estimate | None = None

    @property
    def most_usd(self) -> Decimal:
        return sum((model.most_usd for model in self.seen.models.values()), Decimal(0)) * Decimal(self.whole_factor)

    def refuse(self, error: LineError) -> None:
        self.error_count += 1
        if len(self.errors) < _SHOWN_ERRORS:
            self.errors.append(error)


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom requests are for, where their lines don't say."""

    workspace_id: UUID | None = None
    feature: str = ""
    end_user: str = ""


_NOBODY = Whose()


def preview_table(*, file_id: UUID, prompt: TablePrompt, now: datetime, policy: AnswerPolicy = PLAIN, whose: Whose = _NOBODY) -> Preview:
    """The rows as they would be asked. What is wrong stands in `errors`; FileGoneError when the file is gone."""
    preview = Preview(model=prompt.model, policy=policy, workspace_id=whose.workspace_id, feature=whose.feature, end_user=whose.end_user)
    load_tokenizer()
    try:
        with read_table(file_id=file_id, sheet=prompt.sheet, stop_after_seconds=_READ_SECONDS) as table:
            preview.columns, preview.sheets = table.columns, table.sheets
            check_prompt(prompt, table.columns)
            _look_at_rows(table, prompt, preview, now)
    except PromptRefusedError as error:
        preview.refuse(LineError("invalid_prompt", str(error)))
    except TableUnreadableError as error:
        preview.is_readable = bool(preview.columns or prompt.sheet)
        preview.refuse(LineError("invalid_table", error.message, line=error.line))
    if not preview.requests and not preview.error_count:
        preview.refuse(LineError("empty_file", "The table has a header and no rows."))
    preview.estimate = _estimate(preview, now)
    return preview


def _look_at_rows(table: Table, prompt: TablePrompt, preview: Preview, now: datetime) -> None:
    catalogue = load_catalogue()
    quoter, model_id = Quoter(catalogue, load_price_book()), catalogue.model_id(prompt.model)
    rows = 0
    for row in table.rows:
        if row.error:
            preview.refuse(LineError("invalid_row", row.error, line=row.line))
            continue
        rows += 1
        _note_formulas(row.cells, preview)
        if rows <= _READ_LINES:
            body = request_body(prompt, dict(zip(table.columns, row.cells, strict=True)))
            name = (preview.end_user, preview.feature)
            _note_request(preview, orjson.dumps(body), body, model=(prompt.model, model_id), name=name, quoter=quoter, now=now)
            if len(preview.samples) < _SHOWN_REQUESTS:
                preview.samples.append({"name": f"line {row.line}", "body": body, "text": _shown(body)})
    preview.is_whole = table.share_read == 1
    preview.requests = rows if preview.is_whole else round(rows / max(table.share_read, 1e-6))
    preview.whole_factor = preview.requests / (preview.seen.requests or 1)


def _note_request(
    preview: Preview,
    request: bytes,
    body: dict[str, Any],
    *,
    model: tuple[str, UUID | None],
    name: tuple[str, str],
    quoter: Quoter,
    now: datetime,
) -> None:
    """`model`: its name and id; `name`: the end user and the feature."""
    most = Decimal(0)
    if model[1] is not None:
        most = quoter.quote(
            request, endpoint=preview.endpoint, model_id=model[1], policy=preview.policy, stage=Stage.START, at=now
        ).amount_usd
    preview.seen.add(model[0], body, endpoint=preview.endpoint, size=len(request), most_usd=most, name=name)


def _note_formulas(cells: Sequence[str], preview: Preview) -> None:
    for cell in cells:
        if is_like_formula(cell):
            preview.formulas += 1
            preview.formula = preview.formula or cell


def preview_request(*, body: dict[str, Any], now: datetime, whose: Whose) -> Preview:
    """One request to chat completions, before it is asked. What is wrong with it stands in `errors`."""
    preview = Preview(workspace_id=whose.workspace_id, feature=whose.feature, end_user=whose.end_user)
    line = orjson.dumps({"custom_id": "sample", "method": "POST", "url": CHAT, "body": body}) + b"\n"
    _look_at_lines(BytesIO(line), preview, now)
    preview.requests, preview.model = preview.seen.requests, preview.seen.commonest
    preview.estimate = _estimate(preview, now)
    return preview


def preview_requests(bodies: Iterable[dict[str, Any]], *, times: float, policy: AnswerPolicy, now: datetime, whose: Whose) -> Preview:
    """Good requests to chat completions, which stand for `times` as many."""
    preview = Preview(policy=policy, workspace_id=whose.workspace_id, feature=whose.feature, end_user=whose.end_user)
    catalogue, name = load_catalogue(), (whose.end_user, whose.feature)
    quoter = Quoter(catalogue, load_price_book())
    for body in bodies:
        model = (body["model"], catalogue.model_id(body["model"]))
        _note_request(preview, orjson.dumps(body), body, model=model, name=name, quoter=quoter, now=now)
    preview.requests, preview.model = round(preview.seen.requests * times), preview.seen.commonest
    preview.whole_factor, preview.is_whole = times, times == 1
    preview.estimate = _estimate(preview, now)
    return preview


def preview_batch(*, file_id: UUID, now: datetime, policy: AnswerPolicy = PLAIN, endpoint: str = "", whose: Whose = _NOBODY) -> Preview:
    """The first lines of a batch file, by the rules of the API; without an endpoint, that of the first line."""
    with open_file(file_id) as stream:
        if (refusal := refuse_head(stream.read(HEAD_BYTES))) is not None:
            return Preview(errors=[refusal], error_count=1, is_readable=False)
        preview = Preview(
            endpoint=endpoint or _first_endpoint(stream),
            policy=policy,
            workspace_id=whose.workspace_id,
            feature=whose.feature,
            end_user=whose.end_user,
        )
        read_bytes = _look_at_lines(stream, preview, now)
        preview.requests = preview.seen.requests
        if not preview.is_whole:
            lines, size = _measure(stream)
            preview.requests, preview.whole_factor = lines - preview.error_count, size / (read_bytes or 1)
            if lines > settings.MAX_LINES:
                preview.refuse(too_many(settings.MAX_LINES))
    if not preview.requests and not preview.error_count:
        preview.refuse(empty_file())
    preview.model = preview.seen.commonest
    preview.estimate = _estimate(preview, now)
    return preview


def _look_at_lines(stream: BinaryIO, preview: Preview, now: datetime) -> int:
    """How many bytes were read; `is_whole` of the preview says whether these are all."""
    first: dict[str, int] = {}
    catalogue = load_catalogue()
    quoter = Quoter(catalogue, load_price_book())
    names = {model_id: name for name, model_id in catalogue.ids.items()}
    rules = LineRules(
        endpoint=preview.endpoint,
        model_id=catalogue.model_id,
        feature=preview.feature,
        policy=preview.policy,
        unpriced_models=catalogue.unpriced_models,
        expand=prompt_expander(preview.workspace_id) if preview.workspace_id else None,
        check_tools=tool_checker(preview.workspace_id) if preview.workspace_id else None,
    )
    load_tokenizer()
    specs, until = read_specs(stream, rules), time.monotonic() + _READ_SECONDS
    for spec in islice(specs, _READ_LINES):
        if isinstance(spec, LineError):
            preview.refuse(spec)
        elif (same := first.setdefault(same_id(spec.custom_id), spec.position)) != spec.position:
            preview.refuse(duplicate(spec.custom_id, first=same, second=spec.position))
        else:
            body = orjson.loads(spec.body)
            name = (spec.end_user or preview.end_user, spec.feature)
            model = (names[spec.model_id], spec.model_id)
            _note_request(preview, spec.body, body, model=model, name=name, quoter=quoter, now=now)
            if len(preview.samples) < _SHOWN_REQUESTS:
                preview.samples.append(_sample(spec, body))
        if stream.tell() > _READ_BYTES or time.monotonic() > until:
            break
    read_bytes = stream.tell()
    preview.is_whole = next(specs, None) is None
    return read_bytes


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


def _measure(stream: BinaryIO) -> tuple[int, int]:
    """(lines that hold something, bytes). Of blank lines, those behind each other are seen."""
    stream.seek(0)
    count, size, last = 0, 0, b"\n"
    while chunk := stream.read(_CHUNK_BYTES):
        count += chunk.count(b"\n") - chunk.count(b"\n\n") - chunk.count(b"\n\r\n")
        size += len(chunk)
        last = chunk[-1:]
    return count + (last != b"\n"), size


def _estimate(preview: Preview, now: datetime) -> Estimate | None:
    """Of all models together; None when one of them can't be estimated."""
    seen = preview.seen
    if not seen.requests:
        return None
    share = preview.requests / seen.requests
    # Bytes tell what lines don't: how long those are that nobody has looked at.
    longer = preview.whole_factor / share if share else 1.0
    estimates = [
        estimate_work(
            counted=model.counted,
            requests=round(model.requests * share),
            model=name,
            policy=preview.policy,
            now=now,
            input_factor=model.mean_factor * longer,
            workspace_id=preview.workspace_id,
            feature=preview.feature,
        )
        for name, model in seen.models.items()
    ]
    known = [one for one in estimates if one is not None]
    return reduce(add, known) if len(known) == len(estimates) else None
