"""A table becomes a job like any other, and comes back with its answers."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import openpyxl
import orjson
import pytest

from apps.files.models import File
from apps.jobs.actions import write_table_input
from apps.jobs.actions.export_results import export_results
from apps.jobs.actions.preview_upload import preview_batch, preview_table
from apps.jobs.actions.submit_table import submit_table
from apps.jobs.actions.validate_job import validate_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus, Lane
from apps.jobs.domain.table_prompt import TablePrompt
from apps.jobs.models import Item, Job
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.models import Provider, Target
from apps.spend.models import Price
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_user
from tests.factories.files import make_file, stored_names
from tests.factories.providers import make_provider
from tests.jobs.batches import NOW, clock, end_item, input_line, jsonl, make_input_file, make_model

pytestmark = pytest.mark.django_db
PROMPT = TablePrompt(model="small", user="Translate {{text}}")
TABLE = b"text,n\nhello,1\n=2+3,2\n"


def make_table(content: bytes = TABLE) -> File:
    make_model()
    return make_file(content, filename="words.csv", purpose="user_data")


def submitted(content: bytes = TABLE, prompt: TablePrompt = PROMPT) -> Job:
    file = make_table(content)
    job = submit_table(
        workspace_id=file.workspace_id, created_by_id=make_user().id, table_file_id=file.id, prompt=prompt, lane=Lane.BULK,
        end_user="ada@example.com", now=NOW,
    )  # fmt: skip
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    return job


def read_csv(job: Job) -> list[list[str]]:
    content = b"".join(export_results(job=job, form="csv").chunks)
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def answer(text: str) -> bytes:
    return orjson.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def test_each_row_becomes_an_item() -> None:
    job = submitted()
    assert (job.status, job.total, job.lane, job.model_name) == (JobStatus.RUNNING, 2, "bulk", "small")
    items = Item.objects.filter(job=job).order_by("position")
    assert [item.custom_id for item in items] == ["row-1", "row-2"]
    bodies = read_bodies([bytes(item.request_body_id) for item in items])
    assert [orjson.loads(bodies[bytes(item.request_body_id)])["messages"][0]["content"] for item in items] == [
        "Translate hello", "Translate =2+3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "prompt", "errors"),
    [
        (b"text\na\nb,c\n", PROMPT, [("invalid_row", 3)]),
        (b"other\na\n", PROMPT, [("invalid_prompt", None)]),
        (b"text\n", PROMPT, [("empty_file", None)]),
        (b"text\na\n", TablePrompt(model="unknown", user="{{text}}"), [("model_not_found", 1)]),
        (b"\xd0\xcf\x11\xe0", PROMPT, [("invalid_table", None)]),
    ],
)
def test_what_is_wrong_fails_the_job_with_its_line(content: bytes, prompt: TablePrompt, errors: Sequence[tuple[str, int | None]]) -> None:
    job = submitted(content, prompt)
    assert job.status == JobStatus.FAILED
    assert [(error["code"], error["line"]) for error in job.errors or []] == errors
    assert Item.objects.filter(job=job).count() == 0


def test_a_refused_table_leaves_no_half_written_file() -> None:
    before = len(stored_names())
    job = submitted(b"text\na\nb,c\n")
    assert job.input_file_id is None
    assert len(stored_names()) == before + 1


def test_the_answers_come_back_beside_the_columns_without_formulas() -> None:
    job = submitted(b"text,n\nhello,1\n=2+3,2\nlast,3\n")
    first, second, _ = Item.objects.filter(job=job).order_by("position")
    end_item(first, answer=answer("=HYPERLINK(1)"))
    end_item(second, state=ItemState.DEAD, error_code="refused", error_message="No.")
    rows = read_csv(job)
    assert rows[0] == ["text", "n", "answer", "status", "error", "input_tokens", "output_tokens", "cost_usd"]
    assert rows[1][:5] == ["hello", "1", "'=HYPERLINK(1)", "done", ""]
    assert rows[2][:5] == ["'=2+3", "2", "", "dead", "refused: No."]
    assert rows[3] == ["last", "3", "", "waiting", "", "", "", ""]


def test_a_workbook_holds_the_same_as_texts() -> None:
    job = submitted()
    first, _ = Item.objects.filter(job=job).order_by("position")
    end_item(first, answer=answer("=1+1"))
    content = b"".join(export_results(job=job, form="xlsx").chunks)
    rows = list(openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].iter_rows())
    assert [cell.value for cell in rows[1]][:4] == ["hello", "1", "'=1+1", "done"]
    assert {cell.data_type for cell in rows[1] if cell.value} <= {"s", "inlineStr"}


def test_answers_outlive_the_table_they_were_asked_for() -> None:
    job = submitted()
    end_item(Item.objects.filter(job=job).order_by("position")[0], answer=answer("yes"))
    File.objects.filter(id=job.table_file_id).update(deleted_at=NOW)
    assert [row[:2] for row in read_csv(job)][:2] == [["custom_id", "answer"], ["row-1", "yes"]]


def test_a_table_that_is_cancelled_while_it_is_read_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is told; the second one finds the job cancelled."""
    monkeypatch.setattr("apps.jobs.actions.write_table_input._TOLD_EACH", 1)
    told: list[int] = []
    tell = write_table_input._tell

    def cancel_after_one(job: Job, number: int) -> None:
        tell(job, number)
        told.append(number)
        Job.objects.filter(id=job.id).update(status=JobStatus.CANCELLING)

    monkeypatch.setattr(write_table_input, "_tell", cancel_after_one)
    before = len(stored_names())
    job = submitted(b"text\na\nb\nc\n")
    assert told == [1]
    assert (job.status, job.total, job.input_file_id) == (JobStatus.CANCELLING, 0, None)
    assert len(stored_names()) == before + 1


def test_a_batch_files_answers_come_back_by_custom_id() -> None:
    file = make_input_file(jsonl([input_line("a")]))
    job = Job.objects.create(
        workspace_id=file.workspace_id, kind="batch", status="validating", endpoint="/v1/chat/completions", input_file=file
    )
    make_model()
    validate_job(job_id=job.id, clock=clock)
    end_item(Item.objects.get(job=job), answer=answer("yes"))
    assert [row[:3] for row in read_csv(job)] == [["custom_id", "answer", "status"], ["a", "yes", "done"]]


def test_a_preview_shows_the_first_requests_and_what_they_may_cost() -> None:
    file = make_table()
    Price.objects.create(
        provider_id=make_model().targets.get().provider_id, upstream_model="small", effective_from=NOW,
        input_usd_per_million=Decimal(1_000_000), output_usd_per_million=Decimal(2_000_000),
    )  # fmt: skip
    preview = preview_table(file_id=file.id, prompt=TablePrompt(model="small", user="{{text}}", max_tokens=10), now=NOW)
    assert [sample["body"]["messages"][0]["content"] for sample in preview.samples] == ["hello", "=2+3"]
    assert (preview.requests, preview.is_whole, preview.error_count) == (2, True, 0)
    assert preview.estimate
    assert preview.estimate.input_tokens == (4 + 1) + (4 + 4)
    assert (preview.estimate.least_cost_usd, preview.estimate.most_cost_usd) == (Decimal(13 + 2 * 2), Decimal(13 + 2 * 20))


def test_a_previews_range_follows_the_policy() -> None:
    file = make_table()
    dear, cheap = make_model(), make_model("tiny")
    for model, usd in ((dear, 10), (cheap, 1)):
        Price.objects.create(
            provider_id=model.targets.get().provider_id, upstream_model=model.name, effective_from=NOW,
            input_usd_per_million=Decimal(usd * 1_000_000), output_usd_per_million=Decimal(usd * 1_000_000),
        )  # fmt: skip
    prompt = TablePrompt(model="small", user="{{text}}", max_tokens=10)

    def look(**policy: Any) -> Any:
        preview = preview_table(file_id=file.id, prompt=prompt, now=NOW, policy=AnswerPolicy(**policy))
        assert preview.estimate
        return preview.estimate

    plain, first = look(), look(first_model="tiny")
    assert (plain.least_calls, plain.most_calls, plain.least_cost_usd, plain.most_cost_usd) == (2, 2, 10 * (13 + 2), 10 * (13 + 20))
    assert (first.least_calls, first.most_calls, first.least_cost_usd, first.most_cost_usd) == (2, 4, 13 + 2, 11 * (13 + 20))
    repaired = look(first_model="tiny", has_contract=True)
    assert (repaired.most_calls, repaired.most_output_tokens, repaired.input_tokens) == (6, 60, 13)
    # The repair is told the answer, too.
    assert repaired.most_input_tokens > 3 * 13 + 20
    assert repaired.most_cost_usd == first.most_cost_usd + 10 * (repaired.most_input_tokens - 2 * 13 + 20)
    kept = look(cache_seconds=60)
    assert (kept.least_calls, kept.most_calls, kept.least_cost_usd, kept.most_cost_usd) == (0, 2, 0, plain.most_cost_usd)


def test_a_previews_upper_bound_is_that_of_the_dearest_target_unless_there_is_no_failover() -> None:
    file, model = make_table(), make_model()
    other = make_provider("dear")
    Target.objects.create(model=model, provider=other, upstream_model="big", position=1)
    for provider_id, name, usd in ((model.targets.get(position=0).provider_id, "small", 1), (other.id, "big", 5)):
        Price.objects.create(
            provider_id=provider_id, upstream_model=name, effective_from=NOW,
            input_usd_per_million=Decimal(usd * 1_000_000), output_usd_per_million=Decimal(usd * 1_000_000),
        )  # fmt: skip
    prompt = TablePrompt(model="small", user="{{text}}", max_tokens=10)
    found = [preview_table(file_id=file.id, prompt=prompt, now=NOW, policy=AnswerPolicy(has_failover=on)).estimate for on in (True, False)]
    assert [(one.least_cost_usd, one.most_cost_usd) for one in found if one] == [(15, 5 * 33), (15, 33)]


def test_a_preview_of_a_paused_model_still_tells_what_it_may_cost() -> None:
    file = make_table()
    Provider.objects.update(paused_at=NOW)
    preview = preview_table(file_id=file.id, prompt=PROMPT, now=NOW)
    assert preview.estimate
    assert (preview.estimate.most_output_tokens, preview.estimate.most_cost_usd) == (2 * 4096, None)


def test_a_previews_longest_answers_are_those_of_each_request() -> None:
    make_model()
    bodies: list[dict[str, Any]] = [{"max_output_tokens": 10}, {"max_output_tokens": 9000}, {}]
    lines = [input_line(str(n), url="/v1/responses", body={"model": "small", "input": "x"} | body) for n, body in enumerate(bodies)]
    preview = preview_batch(file_id=make_input_file(jsonl(lines)).id, now=NOW)
    assert preview.estimate
    assert preview.estimate.most_output_tokens == 10 + 9000 + 4096
    embedded = [input_line("a", url="/v1/embeddings", body={"model": "small", "input": "x"})]
    preview = preview_batch(file_id=make_input_file(jsonl(embedded)).id, now=NOW)
    assert preview.estimate
    assert preview.estimate.most_output_tokens == 0


def test_a_preview_names_what_is_wrong() -> None:
    preview = preview_table(file_id=make_table(b"text\na\nb,c\n").id, prompt=PROMPT, now=NOW)
    assert [(error.line, error.code) for error in preview.errors] == [(3, "invalid_row")]
    preview = preview_table(file_id=make_table().id, prompt=TablePrompt(model="small", user="{{nope}}"), now=NOW)
    assert "no column 'nope'" in preview.errors[0].message


def test_a_batch_files_preview_takes_endpoint_and_model_from_its_lines() -> None:
    make_model()
    lines = [input_line(name, url="/v1/embeddings", body={"model": "small", "input": name}) for name in "abcd"]
    preview = preview_batch(file_id=make_input_file(jsonl(lines)).id, now=NOW)
    assert (preview.endpoint, preview.model, preview.requests, preview.error_count) == ("/v1/embeddings", "small", 4, 0)
    preview = preview_batch(file_id=make_input_file(b'{"custom_id": "a"}\n').id, now=NOW)
    assert [error.line for error in preview.errors] == [1]
