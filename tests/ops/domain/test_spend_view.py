"""Addresses of the spend page: what they mean, and where a click leads."""

from urllib.parse import parse_qsl
from uuid import UUID

import pytest

from apps.ops.domain.spend_view import DIMENSIONS, View, read_view
from apps.spend.domain.spending import Dimension

JOB = "00000000-0000-0000-0000-00000000000a"


def read(query: str) -> View:
    view, complaints = read_view(parse_qsl(query, keep_blank_values=True))
    assert complaints == []
    return view


def test_an_address_is_read_as_it_was_written() -> None:
    view = View(period="own", days=("2026-11-01", "2026-11-03"), filters=(("feature", "a&b=c ü"), ("workspace", JOB)), by="model")
    assert read(view.query()) == view
    assert read("feature=").as_filters() == {Dimension.FEATURE: None}


def test_a_click_narrows_and_splits_by_what_is_asked_next() -> None:
    view = View(by="workspace").within("workspace", JOB)
    assert (view.filters, view.by) == ((("workspace", JOB),), "feature")
    assert view.within("feature", "notes").by == "model"
    assert view.within("day", "2026-11-03").days == ("2026-11-03", "2026-11-03")


@pytest.mark.parametrize("dimension", [name for name in DIMENSIONS if name != "day"])
def test_every_click_ends_at_something_that_is_not_settled(dimension: str) -> None:
    view = View(by=dimension)
    for _ in range(len(DIMENSIONS)):
        if view.by == "day":
            return
        view = view.within(view.by, JOB)
        assert view.by not in view.wanted
    assert view.by == "day"


def test_crumbs_lead_back_and_filters_can_be_left() -> None:
    view = View(filters=(("workspace", JOB), ("feature", "notes"), ("model", JOB)), by="job")
    assert view.up_to("feature").filters == view.filters[:2]
    assert view.without("feature").filters == (view.filters[0], view.filters[2])
    assert view.without("feature").by == "feature"


@pytest.mark.parametrize("query", ["job=nonsense", "workspace=1", "feature=a%00b", "end_user=" + "x" * 256, "model=%E2%82%AC"])
def test_what_no_row_can_have_is_left_out_and_said(query: str) -> None:
    view, complaints = read_view(parse_qsl(query))
    assert view.filters == ()
    assert len(complaints) == 1


def test_public_ids_are_ids_too() -> None:
    assert read(f"job=batch_{UUID(JOB).hex}").wanted == {"job": JOB}


def test_jobs_and_end_users_are_not_asked_for_both_at_once() -> None:
    view, complaints = read_view(parse_qsl(f"end_user=ada&job={JOB}&by=end_user"))
    assert view.wanted == {"job": JOB}
    assert view.by == "feature"
    assert "both at once" in complaints[0]
    assert "job" not in read("end_user=ada").dimensions
    assert read("end_user=ada&by=job").by == "feature"


def test_what_is_settled_is_not_split_by_unless_it_was_asked() -> None:
    view, _ = read_view([("feature", "notes")], default_by="feature")
    assert view.by == "workspace"
