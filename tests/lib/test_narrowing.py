"""What lists of the native API are narrowed by: moments of any offset, and nothing that says nothing."""

from typing import Any

import pytest
from django.test import Client

from tests.factories.accounts import make_client
from tests.factories.files import NOW, make_file
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client()


def listed(client: Client, path: str, **query: str) -> Any:
    answer = client.get(path, query)
    return (answer.status_code, answer.json().get("param")) if answer.status_code != 200 else len(answer.json()["data"])


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("4895-02-05T10:32:30+21:42", 1),  # Postgres takes offsets below 16 hours alone
        ("1895-02-05T10:32:30-23:59", 0),
        ("0001-01-01T00:00:00+01:00", (400, "created_before")),
        ("9999-12-31T23:59:59-01:00", (400, "created_before")),
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/api/files"])
def test_moments_have_any_offset(client: Client, path: str, moment: str, count: object) -> None:
    make_job()
    assert listed(client, path, created_before=moment) == count


def test_an_offset_counts(client: Client) -> None:
    make_file(now=NOW.replace(hour=12, minute=0, second=0, microsecond=0))
    day = NOW.date().isoformat()
    assert listed(client, "/api/files", created_after=f"{day}T13:30:00+02:00") == 1
    assert listed(client, "/api/files", created_after=f"{day}T10:30:00-02:00") == 0


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/jobs", ("status", "lane", "kind", "feature", "created_after", "created_before", "cursor", "limit")),
        ("/api/files", ("purpose", "created_after", "created_before", "cursor", "limit")),
        ("/api/keys", ("cursor", "limit")),
    ],
)
def test_an_empty_value_is_refused_by_name(client: Client, path: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert listed(client, path, **{name: ""}) == (400, name)


def test_of_a_jobs_items_too(client: Client) -> None:
    path = f"/api/jobs/{make_job().public_id}/items"
    for name in ("state", "error_code", "cursor", "limit"):
        assert listed(client, path, **{name: ""}) == (400, name)
    assert listed(client, path, state="dead") == 1
