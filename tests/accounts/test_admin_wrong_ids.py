"""Addresses and forms of the back office with ids of the wrong type, or that nobody has: told so, never a 500; on every registered page."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.accounts.models import ApiKey, User
from tests.factories.accounts import make_api_key, make_office_client, make_user
from tests.factories.jobs import make_job

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]
WRONG = ("abc", "0", "-1", "9" * 30, "0" * 32, "\x00", "a\x00b", "ü", "None", "1'; --", "01a1fde4-a2d2-7391-b534", "x" * 3000)
MODELS = list(admin.site._registry)


@pytest.fixture(params=MODELS, ids=lambda model: model._meta.label)
def page(request: pytest.FixtureRequest) -> Any:
    return admin.site._registry[request.param]


def path(page: Any, name: str, *arguments: object) -> str:
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_{name}", args=arguments)


def told(answer: Any) -> list[str]:
    return [str(message) for message in messages.get_messages(answer.wsgi_request)]


def test_a_page_of_no_such_row_leads_home_and_says_so(page: Any) -> None:
    client = make_office_client()
    for wrong in WRONG:
        for kind in ("change", "delete", "history"):
            answer = client.get(path(page, kind, quote(wrong, safe="")))
            assert answer.status_code in {302, 403, 404}, (kind, wrong)
    assert client.get(path(page, "change", "abc"), follow=True).status_code == 200


def parameters(page: Any) -> Iterator[str]:
    """What the list can be asked by: its columns, what its filters send, and Django's own words."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="root")
    changes = page.get_changelist_instance(request)
    yield from (name for spec in changes.filter_specs for name in spec.expected_parameters() if name)
    # One column of each type will do.
    for field in {type(field): field for field in page.opts.concrete_fields}.values():
        yield from (field.attname, f"{field.attname}__in", f"{field.name}__gte", f"{field.name}__isnull")
    yield from ("pk", "q", "p", "o", "all", "e", "_popup", "_facets", "_to_field", "no_such_field", "workspace__id__exact", "job__x")


def test_a_list_asked_by_nonsense_says_so(page: Any) -> None:
    client = make_office_client()
    for name in dict.fromkeys(parameters(page)):
        for wrong in ("abc", "9" * 30, "\x00"):
            answer = client.get(f"{path(page, 'changelist')}?{urlencode({name: wrong})}")
            assert answer.status_code in {200, 302, 400}, (name, wrong)


def test_an_action_on_a_row_of_a_wrong_id_does_nothing(page: Any) -> None:
    make_job()
    make_api_key()
    Group.objects.create(name="night shift")
    client = make_office_client()
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="root")
    before = page.model._default_manager.count()
    for action in (*page.get_actions(request), "no_such_action"):
        for wrong in WRONG:
            answer = client.post(
                path(page, "changelist"),
                {"action": action, "_selected_action": [wrong], "post": "yes", "reason": "as agreed", "confirmed": "yes"},
            )
            assert answer.status_code in {200, 302, 403}, (action, wrong)
    assert page.model._default_manager.count() == before


@pytest.mark.parametrize("model", [Group, User, ApiKey])
def test_a_wrong_id_among_right_ones_stops_the_action(model: Any) -> None:
    Group.objects.create(name="night shift")
    make_user("grace")
    key, _ = make_api_key()
    client, page = make_office_client(), admin.site._registry[model]
    row = model.objects.order_by("-pk")[0]
    action = "revoke" if model is ApiKey else "delete_selected"
    answer = client.post(
        path(page, "changelist"),
        {"action": action, "_selected_action": [row.pk, "abc"], "post": "yes", "reason": "as agreed", "confirmed": "yes"},
    )
    assert answer.status_code == 302
    assert told(answer) == ["Nothing was done: 'abc' is the id of no row."]
    assert model.objects.filter(pk=row.pk).exists()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_row_that_has_gone_meanwhile_is_no_error() -> None:
    client: Client = make_office_client()
    group = Group.objects.create(name="night shift")
    answer = client.post(
        path(admin.site._registry[Group], "changelist"),
        {"action": "delete_selected", "_selected_action": [group.pk, 9_999_999], "post": "yes", "reason": "as agreed"},
    )
    assert answer.status_code == 302
    assert not Group.objects.exists()
