"""How long a provider asks us to wait."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.domain.retry_after import read_retry_after

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "-5", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 13:01:30 +0100"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 -0000"}, 90.0),
        ({"retry-after": "Saturday, 21-Nov-26 12:01:30 GMT"}, 90.0),
        ({"retry-after": "Sat Nov 21 12:01:30 2026"}, 90.0),
        ({"retry-after": "99999999999"}, DAY),
        ({"retry-after": "Sun, 21 Nov 2999 12:00:00 GMT"}, DAY),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, now=NOW) == seconds


@given(st.text(), st.text())
def test_retry_after_hostile_texts_are_ignored_or_bounded(milliseconds: str, value: str) -> None:
    found = read_retry_after({"retry-after-ms": milliseconds, "retry-after": value}, now=NOW)
    assert found is None or 0 <= found <= DAY
