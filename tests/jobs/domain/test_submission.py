"""Requests for a batch: the first wrong parameter is named."""

from decimal import Decimal
from typing import Any

import pytest

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.submission import SubmissionRefusedError, read_submission

GOOD: dict[str, Any] = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}


def test_read_submission_without_extras_takes_the_defaults() -> None:
    submission = read_submission(GOOD)
    assert (submission.lane, submission.feature, submission.max_cost_usd, submission.on_budget) == (Lane.DEFAULT, "", None, "wait")
    assert (submission.metadata, submission.output_expires_after_seconds) == (None, None)


def test_read_submission_reads_the_hints_in_metadata() -> None:
    metadata = {"priority": "bulk", "feature": "nightly", "max_cost_usd": "12.50", "on_budget": "fail", "mine": "é" * 512}
    submission = read_submission(GOOD | {"metadata": metadata, "output_expires_after": {"anchor": "created_at", "seconds": 3600}})
    assert (submission.lane, submission.feature, submission.on_budget) == (Lane.BULK, "nightly", "fail")
    assert (submission.max_cost_usd, submission.output_expires_after_seconds) == (Decimal("12.50"), 3600)
    assert submission.metadata == metadata


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input_file_id": None}, "input_file_id"),
        ({"input_file_id": 5}, "input_file_id"),
        ({"endpoint": "/v1/teapot"}, "endpoint"),
        ({"endpoint": ""}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"completion_window": None}, "completion_window"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 5}}, "metadata"),
        ({"metadata": {"k": "a\0b"}}, "metadata"),
        ({"metadata": {"\ud800": "v"}}, "metadata"),
        ({"metadata": {"priority": "urgent"}}, "metadata.priority"),
        ({"metadata": {"priority": ""}}, "metadata.priority"),
        ({"metadata": {"feature": "x" * 65}}, "metadata.feature"),
        ({"metadata": {"prompt_version": "x" * 65}}, "metadata.prompt_version"),
        ({"metadata": {"max_cost_usd": "0"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "-1"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "NaN"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "lots"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "1e30"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "99999999.9999999999999"}}, "metadata.max_cost_usd"),
        ({"metadata": {"max_cost_usd": "1e-20"}}, "metadata.max_cost_usd"),
        ({"metadata": {"on_budget": "maybe"}}, "metadata.on_budget"),
        ({"output_expires_after": 5}, "output_expires_after"),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "output_expires_after.anchor"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3599}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": True}}, "output_expires_after.seconds"),
        ({"model": "small"}, "model"),
    ],
)
def test_read_submission_names_the_wrong_parameter(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(SubmissionRefusedError) as refused:
        read_submission(GOOD | changes)
    assert refused.value.param == param
    refused.value.message.encode()


@pytest.mark.parametrize("values", [None, [], "text", 5])
def test_read_submission_wants_an_object(values: object) -> None:
    with pytest.raises(SubmissionRefusedError):
        read_submission(values)
