"""What a dry run answers: a Batch that was not made, with what would come of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from apps.jobs.actions.dry_run_batch import DryRun
from apps.jobs.domain.forecast import Forecast
from apps.jobs.domain.foresight import NO, PROBABLY, SURELY, Foresight, TouchedBudget
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.submission import COMPLETION_WINDOW_SECONDS
from apps.jobs.models import Job
from apps.jobs.serializers.batches import BatchSerializer
from apps.lib.ids import parse_public_id
from apps.lib.sum_field import SumField

# No id has this shape, so whoever asks for it is answered 404.
DRY_RUN_ID = "batch_dry_run"


def _usd(help_text: str) -> SumField:
    return SumField(allow_null=True, help_text=help_text)


class _LinesSerializer(serializers.Serializer[Any]):
    looked_at = serializers.IntegerField()
    valid = serializers.IntegerField()
    invalid = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Lines of the whole file; counted, not judged, beyond those that were looked at.")
    is_whole = serializers.BooleanField(help_text="Every line was looked at.")


class _TokensSerializer(serializers.Serializer[Any]):
    input = serializers.IntegerField()
    output = serializers.IntegerField(help_text="The likely ones.")
    output_most = serializers.IntegerField(help_text="With the longest answers, and every step of the policy.")


class _CostSerializer(serializers.Serializer[Any]):
    low = _usd("What it hardly costs less than.")
    likely = _usd("With answers as they usually are.")
    high = _usd("What it hardly costs more than.")


class _BasisSerializer(serializers.Serializer[Any]):
    of = serializers.ChoiceField(choices=["feature", "workspace", "platform", "several", "limits"], help_text="Whose latest answers.")
    calls = serializers.IntegerField(help_text="How many of them.")


class TouchedBudgetSerializer(serializers.Serializer[Any]):
    """A budget that the work would be counted in; amounts that are not the workspace's to know are null."""

    id = serializers.CharField(allow_null=True, help_text="Null for the one that `max_cost_usd` would make.")
    scope = serializers.CharField()
    name = serializers.CharField()
    period = serializers.CharField()
    hard = serializers.BooleanField()
    cap_usd = _usd("With what it was topped up by.")
    spent_usd = _usd("In the present period.")
    reserved_usd = _usd("By what runs.")
    left_usd = _usd("What may still be reserved.")
    needs_usd = _usd("The likely cost of what it bounds.")
    fits = serializers.ChoiceField(choices=[SURELY, PROBABLY, NO])
    waits_until = serializers.DateTimeField(allow_null=True, help_text="When it is fresh again, if it does not fit.")
    waits_at_once = serializers.BooleanField(help_text="It has no room for the dearest line, whatever else runs.")


class _FinishSerializer(serializers.Serializer[Any]):
    at = serializers.IntegerField(allow_null=True, help_text="Unix seconds; null while nothing is sent.")
    seconds = serializers.FloatField(allow_null=True)
    lines_per_second = serializers.FloatField()
    bound_by = serializers.CharField(help_text="The narrowest limit: a provider's, `max_concurrency`, or `workers`.")
    lines_ahead = serializers.IntegerField(help_text="Of other jobs, before its last one.")
    call_seconds = serializers.FloatField()
    is_guessed = serializers.BooleanField(help_text="No call was made lately: their time is guessed by their tokens.")
    stopped = serializers.CharField(help_text="Why nothing is sent at present; empty: it is.")


class ForesightSerializer(serializers.Serializer[Any]):
    """What work would cost and when it would be over."""

    tokens = _TokensSerializer(allow_null=True)
    cost_usd = _CostSerializer(allow_null=True)
    basis = _BasisSerializer(allow_null=True)
    ceiling_usd = _usd("The sum of what is reserved for each line.")
    dearest_line_usd = _usd("What is reserved for the dearest one.")
    budgets = TouchedBudgetSerializer(many=True)
    fits = serializers.BooleanField(allow_null=True, help_text="No hard budget would make it wait.")
    finish = _FinishSerializer(allow_null=True)


class EstimateSerializer(ForesightSerializer):
    """What a batch would cost and when it would be over."""

    lines = _LinesSerializer()


class BatchAnswerSerializer(BatchSerializer):
    """A Batch; after a dry run also what it would come to."""

    estimate = EstimateSerializer(required=False, help_text="Only with `dry_run=true`.")


class DryRunSerializer(serializers.Serializer[DryRun]):
    """As a batch would stand once its file was checked: `validating`, or `failed` with what is wrong."""

    def to_representation(self, instance: DryRun) -> dict[str, Any]:
        return BatchSerializer(_job(instance)).data | {"id": DRY_RUN_ID, "estimate": _estimate(instance)}


def _job(run: DryRun) -> Job:
    """Never saved."""
    submission, preview, has_failed = run.submission, run.preview, run.preview.error_count > 0
    return Job(
        kind="batch",
        status=JobStatus.FAILED if has_failed else JobStatus.VALIDATING,
        endpoint=submission.endpoint,
        model_name=preview.model if len(preview.seen.models) == 1 else "",
        errors=[error.as_json() for error in preview.errors] if has_failed else None,
        metadata=submission.metadata,
        input_file_id=parse_public_id("file-", submission.input_file_id),
        total=0 if has_failed else preview.requests,
        created_at=run.at,
        ended_at=run.at if has_failed else None,
        expires_at=run.at + timedelta(seconds=COMPLETION_WINDOW_SECONDS),
    )


def _estimate(run: DryRun) -> dict[str, Any]:
    preview, seen = run.preview, run.preview.seen.requests
    lines = {
        "looked_at": seen + preview.error_count,
        "valid": seen,
        "invalid": preview.error_count,
        "total": preview.requests + preview.error_count,
        "is_whole": preview.is_whole,
    }
    return {"lines": lines} | tell_foresight(run.foresight, at=run.at)


_NOTHING_FORESEEN: dict[str, Any] = {
    "tokens": None,
    "cost_usd": None,
    "basis": None,
    "ceiling_usd": None,
    "dearest_line_usd": None,
    "budgets": [],
    "fits": None,
    "finish": None,
}


def tell_foresight(foresight: Foresight | None, *, at: datetime) -> dict[str, Any]:
    """As ForesightSerializer describes it; all null when nothing is foreseen."""
    if foresight is None:
        return _NOTHING_FORESEEN
    estimate = foresight.estimate
    tokens = cost = basis = None
    if estimate is not None:
        tokens = {"input": estimate.input_tokens, "output": estimate.likely_output_tokens, "output_most": estimate.most_output_tokens}
        cost = {
            "low": _dollars(estimate.low_cost_usd),
            "likely": _dollars(estimate.likely_cost_usd),
            "high": _dollars(estimate.high_cost_usd),
        }
        basis = {"of": estimate.basis, "calls": estimate.basis_calls}
    return {
        "tokens": tokens,
        "cost_usd": cost,
        "basis": basis,
        "ceiling_usd": _dollars(foresight.ceiling_usd),
        "dearest_line_usd": _dollars(foresight.dearest_usd),
        "budgets": [_budget(budget) for budget in foresight.budgets],
        "fits": foresight.has_room,
        "finish": _finish(foresight.finish, at) if foresight.finish else None,
    }


def _budget(budget: TouchedBudget) -> dict[str, Any]:
    amounts = {name: _dollars(getattr(budget, name)) for name in ("cap_usd", "spent_usd", "reserved_usd", "left_usd", "needs_usd")}
    return {
        "id": budget.id or None,
        "scope": budget.scope,
        "name": budget.name,
        "period": budget.period,
        "hard": budget.is_hard,
        **amounts,
        "fits": budget.fits,
        "waits_until": budget.waits_until,
        "waits_at_once": budget.waits_at_once,
    }


def _finish(finish: Forecast, now: datetime) -> dict[str, Any]:
    at = None if finish.seconds is None else int((now + timedelta(seconds=finish.seconds)).timestamp())
    return {
        "at": at,
        "seconds": None if finish.seconds is None else round(finish.seconds, 1),
        "lines_per_second": round(finish.items_per_second, 3),
        "bound_by": finish.bound_by,
        "lines_ahead": finish.items_ahead,
        "call_seconds": round(finish.call_seconds, 3),
        "is_guessed": finish.is_guessed,
        "stopped": finish.stopped,
    }


def _dollars(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{round(amount, 12).normalize():f}"
