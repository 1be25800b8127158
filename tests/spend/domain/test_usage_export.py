"""A provider's usage export, as a table or as JSON; what is wrong is named by row and column."""

from datetime import date
from decimal import Decimal

import pytest

from apps.spend.domain.usage_export import ExportInvalidError, UsedOnDay, read_export

DAY = date(2026, 11, 20)


def test_a_table() -> None:
    text = "\ufeffday,model,requests,input_tokens,cached_input_tokens,output_tokens,cost_usd\n2026-11-20,gpt-x,3,60,,90,$0.000063\n"
    assert read_export(text) == [UsedOnDay(DAY, "gpt-x", 3, 60, None, 90, Decimal("0.000063"))]


def test_json_with_costs_to_the_last_digit() -> None:
    text = '{"data": [{"day": "2026-11-20T00:00:00Z", "model": "gpt-x", "requests": 3, "cost_usd": 0.123456789012}]}'
    assert read_export(text) == [UsedOnDay(DAY, "gpt-x", 3, None, None, None, Decimal("0.123456789012"))]


def test_rows_of_one_day_and_model_are_added_up() -> None:
    text = "day,model,requests,cost_usd,output_tokens\n2026-11-20,b,1,0.5,\n2026-11-20,a,1,,7\n2026-11-20,b,2,0.25,\n"
    assert [(one.model, one.requests, one.cost_usd, one.output_tokens) for one in read_export(text)] == [
        ("a", 1, None, 7),
        ("b", 3, Decimal("0.75"), None),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no row"),
        ("day,model\n", "no row"),
        ("[1]", "list of objects"),
        ("[", "no JSON"),
        ("day,model\n2026-11-20,\n", "Row 1: 'model'"),
        ("day,model\n20.11.2026,m\n", "Row 1: 'day'"),
        ("day,model,requests\n2026-11-20,m,1\n2026-11-20,m,-1\n", "Row 2: 'requests'"),
        ("day,model,requests\n2026-11-20,m,1.5\n", "'requests' must be a whole number"),
        ("day,model,cost_usd\n2026-11-20,m,NaN\n", "'cost_usd' must be an amount"),
        ("day,model,cost_usd\n2026-11-20,m,much\n", "'cost_usd' must be an amount"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(ExportInvalidError, match=told):
        read_export(text)
