"""Lists by cursor: each row once, whatever the page size, also with equal times."""

from datetime import timedelta
from uuid import UUID

import pytest

from apps.files.models import File
from apps.lib.http_errors import ApiError
from apps.lib.pages import read_limit, take_page
from tests.factories.files import NOW, make_file


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        *((None, 20), ("1", 1), ("0", 1), ("-5", 1), ("100", 100), ("101", 100), ("9" * 5000, 100), ("-" + "9" * 5000, 1)),
    ],
)
def test_limits_are_brought_into_range(text: str | None, limit: int) -> None:
    assert read_limit(text, default=20, most=100) == limit


@pytest.mark.parametrize("text", ["", "x", "null", "1e3", "2.0", "٣", "9" * 30 + "x"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_limit(text, default=20, most=100)
    assert (refused.value.status, refused.value.param) == (400, "limit")


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("is_oldest_first", [True, False])
def test_all_rows_come_once_and_in_order(limit: int, *, is_oldest_first: bool) -> None:
    # Three share each instant: the id decides among them.
    made = [make_file(now=NOW + timedelta(seconds=number // 3)).id for number in range(7)]
    seen: list[UUID] = []
    has_more = True
    while has_more:
        page = take_page(File.objects.all(), after=seen[-1] if seen else None, limit=limit, is_oldest_first=is_oldest_first)
        assert len(page.rows) <= limit
        seen += [row.id for row in page.rows]
        has_more = page.has_more
    assert seen == (made if is_oldest_first else made[::-1])


@pytest.mark.django_db
def test_after_an_unknown_row_nothing_follows() -> None:
    make_file()
    page = take_page(File.objects.all(), after=UUID(int=0), limit=5)
    assert page.as_list(lambda row: {"id": row.public_id}) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
