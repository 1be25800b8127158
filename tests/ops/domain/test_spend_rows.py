"""Names and words on the page of spend."""

from decimal import Decimal
from uuid import UUID

import pytest

from apps.ops.domain.spend_names import Names
from apps.ops.domain.spend_rows import told

KEY = UUID(int=0xABCDEF)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        ("112", "100", "12 % more than October"),
        ("50", "100", "50 % less than October"),
        ("100.3", "100", "the same as October"),
        ("2700", "100", "27 times as much as October"),
        ("5", "0", "October: nothing"),
        ("0", "0", "October: nothing"),
        ("0", "7", "100 % less than October"),
    ],
)
def test_a_comparison_is_told_in_words(now: str, before: str, words: str) -> None:
    assert told(Decimal(now), Decimal(before), "October") == words


def test_what_has_no_name_is_told_as_such() -> None:
    names = Names({"workspace": {KEY: "acme"}})
    assert names.of("workspace", KEY) == "acme"
    assert names.of("feature", "") == "no feature"
    assert names.of("api_key", None) == "no API key (back office)"
    assert names.of("job", KEY) == "a job that is gone (…00abcdef)"


def test_only_rows_that_are_known_have_pages_and_those_of_the_platform_are_for_superusers() -> None:
    names = Names({"workspace": {KEY: "acme"}, "model": {KEY: "small"}})
    assert names.page_of("workspace", KEY, is_superuser=False) == "admin:accounts_workspace_change"
    assert names.page_of("job", KEY, is_superuser=True) == ""
    assert [names.page_of("model", KEY, is_superuser=is_superuser) for is_superuser in (True, False)] == [
        "admin:providers_model_change",
        "",
    ]
