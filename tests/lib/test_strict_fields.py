"""A request's fields take their own kind alone."""

from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from apps.lib.strict_fields import TextField, TruthField


@pytest.mark.parametrize("value", [0, 1.5, True, None, [], {}, "", "  ", "x" * 11])
def test_a_text_is_a_text(value: Any) -> None:
    with pytest.raises(ValidationError):
        TextField(max_length=10).run_validation(value)


@pytest.mark.parametrize("value", ["true", "on", "1", 1, 0, None, [], {}])
def test_a_truth_is_true_or_false(value: Any) -> None:
    with pytest.raises(ValidationError):
        TruthField().run_validation(value)


def test_what_fits_is_taken() -> None:
    assert TextField(max_length=10).run_validation("nightly") == "nightly"
    assert [TruthField().run_validation(value) for value in (True, False)] == [True, False]
