"""A dry run: the same judgement as the real thing, an estimate that says where it comes from, and nothing written."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from apps.files.models import File
from apps.jobs.actions import dry_run_batch, validate_job
from apps.jobs.actions.dry_run_batch import DryRun
from apps.jobs.domain.foresight import NO, PROBABLY, SURELY
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.ids import uuid7
from apps.providers.models import Model
from apps.spend.models import BudgetPeriod, Charge, Price, Reservation
from tests.factories.accounts import make_api_key
from tests.jobs.batches import CHAT, NOW, clock, input_line, jsonl, make_input_file, make_model, submit
from tests.jobs.rows import make_workspace
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db


def price(model: Model, usd: int = 1, **values: Any) -> None:
    """Dollars a token."""
    Price.objects.create(
        provider_id=model.targets.get().provider_id, upstream_model=model.name, effective_from=NOW - timedelta(days=1),
        input_usd_per_million=Decimal(usd * 1_000_000), output_usd_per_million=Decimal(usd * 1_000_000), **values,
    )  # fmt: skip


def charge(model: Model, *, output_tokens: int, number: int = 25, feature: str = "", workspace_id: UUID | None = None) -> None:
    Charge.objects.bulk_create(
        Charge(
            workspace_id=workspace_id or make_workspace().id, job_id=uuid7(), item_id=uuid7(), run_id=uuid7(), model_id=model.id,
            provider_id=model.targets.get().provider_id, upstream_model=model.name, feature=feature, lane="default",
            input_tokens=10, output_tokens=output_tokens, cost_usd=Decimal(1),
        ) for _ in range(number)
    )  # fmt: skip


def look(content: bytes, *, api_key_id: UUID | None = None, **values: Any) -> DryRun:
    file = make_input_file(content, workspace=make_workspace())
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h"} | values
    return dry_run_batch(workspace_id=make_workspace().id, api_key_id=api_key_id, sees_amounts=True, values=request, now=NOW)


def line(name: str, text: str = "Hello", **body: Any) -> dict[str, Any]:
    return input_line(name, body={"model": "small", "messages": [{"role": "user", "content": text}], "max_tokens": 100} | body)


def lines(number: int, **body: Any) -> bytes:
    return jsonl(line(str(n), **body) for n in range(number))


def test_without_history_the_limits_are_the_range() -> None:
    price(make_model())
    estimate = look(lines(4)).foresight.estimate  # type: ignore[union-attr]  # the lines are good
    assert estimate is not None
    assert (estimate.basis, estimate.input_tokens, estimate.likely_output_tokens) == ("limits", 4 * 5, (4 + 400) // 2)
    assert (estimate.low_cost_usd, estimate.likely_cost_usd, estimate.high_cost_usd) == (15 + 4, 20 + 202, 27 + 400)


def test_history_is_the_features_then_the_workspaces_then_everybodys() -> None:
    model = make_model()
    price(model)
    charge(model, output_tokens=50, workspace_id=make_workspace("other").id)

    def basis(**values: Any) -> tuple[str, int, int]:
        estimate = look(lines(2), **values).foresight.estimate  # type: ignore[union-attr]  # the lines are good
        assert estimate is not None
        return estimate.basis, estimate.basis_calls, estimate.likely_output_tokens

    assert basis() == ("platform", 25, 100)
    charge(model, output_tokens=20)
    assert basis() == ("workspace", 25, 40)
    charge(model, output_tokens=30, feature="titles")
    assert basis(metadata={"feature": "titles"}) == ("feature", 25, 60)
    assert basis(metadata={"feature": "texts"})[:2] == ("workspace", 50)


def test_of_history_the_range_is_what_one_of_ten_falls_below_and_exceeds() -> None:
    model = make_model()
    price(model)
    for tokens in (10, 20, 30, 40, 50, 60, 70, 80, 90, 100):
        charge(model, output_tokens=tokens, number=5)
    estimate = look(lines(10)).foresight.estimate  # type: ignore[union-attr]  # the lines are good
    assert estimate is not None
    heard = 10 * 5
    assert estimate.likely_cost_usd == heard + 10 * 55
    assert estimate.low_cost_usd == Decimal(38) + 10 * 19
    assert estimate.high_cost_usd == Decimal(68) + 10 * 91


def test_the_ceiling_is_what_is_reserved_for_every_line() -> None:
    price(make_model())
    content = jsonl([line("a"), line("b", "Hello again", max_tokens=7)])
    bodies = [len(one.partition(b'"body": ')[2]) - 1 for one in content.splitlines()]
    foresight = look(content).foresight
    assert foresight is not None
    assert foresight.ceiling_usd == sum(bodies) + 107
    assert foresight.dearest_usd == bodies[0] + 100


def test_nothing_is_written() -> None:
    model = make_model()
    price(model)
    make_budget("workspace", "5", workspace=make_workspace())
    charge(model, output_tokens=5)
    before = File.objects.count()
    assert look(lines(3)).foresight is not None
    assert (Job.objects.count(), Reservation.objects.count(), BudgetPeriod.objects.count()) == (0, 0, 0)
    assert File.objects.count() == before + 1


def test_each_model_is_estimated_by_itself() -> None:
    small, large = make_model(), make_model("large")
    price(small, 1)
    price(large, 10)
    run = look(jsonl([line("a"), line("b"), line("c", model="large")]))
    assert run.foresight is not None
    assert run.foresight.estimate is not None
    assert (run.foresight.estimate.requests, run.foresight.estimate.input_tokens) == (3, 15)
    assert run.foresight.estimate.high_cost_usd == (14 + 200) + 10 * (7 + 100)
    assert run.preview.model == "small"


def test_budgets_that_it_touches_with_what_is_left() -> None:
    model = make_model()
    price(model)
    charge(model, output_tokens=10)
    key, _ = make_api_key(make_workspace())
    whole = make_budget("workspace", "10000", workspace=make_workspace())
    make_budget("api_key", "40", api_key=key, workspace=make_workspace(), period="day")
    make_budget("feature", "1", subject="titles", workspace=make_workspace())
    make_budget("feature", "1", subject="texts", workspace=make_workspace())
    make_budget("platform", "100000")
    content = jsonl([line("a"), line("b"), line("c", metadata={"feature": "titles"})])
    foresight = look(content, api_key_id=key.id, metadata={"max_cost_usd": "1000"}).foresight
    assert foresight is not None
    told = [(one.scope, one.fits, one.left_usd) for one in foresight.budgets]
    assert told == [
        ("platform", SURELY, None),
        ("workspace", SURELY, 10000),
        ("api_key", NO, 40),
        ("feature", NO, 1),
        ("job", SURELY, 1000),
    ]
    assert foresight.budgets[1].id == whole.public_id
    waiting = foresight.budgets[2]
    assert waiting.waits_until is not None
    assert waiting.waits_at_once
    assert not foresight.has_room
    assert foresight.budgets[3].needs_usd is not None
    assert foresight.budgets[3].needs_usd < (foresight.budgets[1].needs_usd or 0)


def test_enough_for_the_likely_cost_is_probably_enough() -> None:
    model = make_model()
    price(model)
    charge(model, output_tokens=10)
    make_budget("workspace", "48", workspace=make_workspace())
    foresight = look(lines(3)).foresight
    assert foresight is not None
    assert [one.fits for one in foresight.budgets] == [PROBABLY]
    assert foresight.has_room


@pytest.mark.parametrize(
    "content",
    [
        b"oops\n" + jsonl([line("a", model="nobody")]),
        jsonl([line("a"), line("a")]),
        b"",
        b"PK\x03\x04 a workbook",
        jsonl([input_line("a", url="/v1/embeddings")]),
    ],
)
def test_wrong_lines_are_told_as_the_batch_itself_tells_them(content: bytes) -> None:
    make_model()
    run = look(content)
    assert run.foresight is None
    job = submit(content)
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert [error.as_json() for error in run.preview.errors] == job.errors


def test_of_a_long_file_a_part_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    price(make_model())
    content = lines(3000)
    whole = look(content)
    monkeypatch.setattr("apps.jobs.actions.preview_upload._READ_LINES", 500)
    part = look(content)
    assert (whole.preview.is_whole, part.preview.is_whole) == (True, False)
    assert (part.preview.requests, part.preview.seen.requests) == (3000, 500)
    assert whole.foresight is not None
    assert part.foresight is not None
    assert whole.foresight.estimate is not None
    assert part.foresight.estimate is not None
    for name in ("low_cost_usd", "likely_cost_usd", "high_cost_usd"):
        assert float(getattr(part.foresight.estimate, name) / getattr(whole.foresight.estimate, name)) == pytest.approx(1, abs=0.02)
    assert part.foresight.ceiling_usd is not None
    assert whole.foresight.ceiling_usd is not None
    assert float(part.foresight.ceiling_usd / whole.foresight.ceiling_usd) == pytest.approx(1, abs=0.02)


def test_more_lines_than_a_batch_may_have_are_refused(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_model()
    settings.MAX_LINES = 50
    monkeypatch.setattr("apps.jobs.actions.preview_upload._READ_LINES", 20)
    content = lines(51).replace(b"\n", b"\n\n")
    assert [error.code for error in look(content).preview.errors] == ["too_many_tasks"]
    assert look(lines(50).replace(b"\n", b"\n\n")).preview.error_count == 0


def test_a_limit_and_what_is_ahead_of_it_decide_when_it_is_over() -> None:
    model = make_model()
    provider = model.targets.get().provider
    provider.requests_per_minute = 60
    provider.save()
    finish = look(lines(98)).foresight.finish  # type: ignore[union-attr]  # the lines are good
    assert finish is not None
    assert (finish.bound_by, finish.items_ahead, finish.is_guessed) == ("requests_per_minute", 0, True)
    assert finish.seconds == pytest.approx(100 + finish.call_seconds + 1, rel=0.01)
    for lane, total in (("default", 30), ("bulk", 400), ("interactive", 50)):
        Job.objects.create(
            workspace=make_workspace(), kind="batch", status=JobStatus.RUNNING, endpoint=CHAT, lane=lane, total=total, model_name="small"
        )
    behind = look(lines(98)).foresight.finish  # type: ignore[union-attr]  # the lines are good
    assert behind is not None
    assert behind.items_ahead == 30 + 98 // 4


def test_what_is_paused_has_no_end() -> None:
    model = make_model()
    model.targets.update(paused_at=NOW)
    finish = look(lines(2)).foresight.finish  # type: ignore[union-attr]  # the lines are good
    assert finish is not None
    assert (finish.seconds, finish.stopped) == (None, "paused")


def test_a_model_without_a_price_costs_nothing_that_is_known() -> None:
    make_model()
    make_budget("workspace", "1", workspace=make_workspace())
    foresight = look(lines(2)).foresight
    assert foresight is not None
    assert foresight.estimate is not None
    assert (foresight.estimate.likely_cost_usd, foresight.ceiling_usd) == (None, None)
    assert [one.fits for one in foresight.budgets] == [SURELY]
