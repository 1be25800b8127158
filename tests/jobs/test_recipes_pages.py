"""Recipes in the back office: a form for each kind, what is wrong beside its field, numbers and what is different."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role, Workspace
from apps.jobs.domain.recipe import load_plan
from apps.jobs.forms.recipes import KINDS
from apps.jobs.models import Recipe
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_route

pytestmark = pytest.mark.django_db

SCHEMA = '{"type": "object", "properties": {"total": {"type": "number"}}}'
# What somebody fills in, by the kind of form; names of switches and texts as a browser sends them.
FILLED: dict[str, dict[str, str]] = {
    "extract": {"model": "small", "schema": SCHEMA, "parameters": '{"temperature": 0}', "cache": "on"},
    "classify": {"model": "small", "labels": "complaint: went wrong\r\npraise\r\n", "reason": "on", "confidence": "on"},
    "summarise": {"model": "small", "words": "80", "language": "German"},
    "ask": {"model": "small", "question": "When?", "each": "job", "passages": "5", "instructions": "Be brief."},
    "custom": {"model": "small", "user": "Shorten:\r\n{{ text }} {{ tone }}", "values": '{"tone": "dry"}', "each": "document"},
    "cascade-extract": {"model": "large", "schema": SCHEMA, "first_model": "small", "accept_if": "schema", "failover": "off"},
    "cascade-classify": {"model": "large", "labels": "a\r\nb", "confidence": "on", "first_model": "small", "accept_if": "confidence>=0.8"},
    "cascade-custom": {"model": "large", "user": "{{ text }}", "first_model": "small", "each": "document"},
    "steps": {"steps": '[[steps]]\r\nname = "facts"\r\neach = "part"\r\nmodel = "small"\r\nuser = "{{ text }}"\r\n'},
}


@pytest.fixture
def office() -> Client:
    make_route()
    make_route("large", upstream_model="gpt-x")
    return make_office_client(make_user("member", acme=Role.MEMBER))


def acme() -> Workspace:
    return make_workspace("acme")


def declare(office: Client, kind: str, name: str = "mine", **form: Any) -> Any:
    filled = {"workspace": acme().pk, "name": name, "description": "For a test."} | FILLED[kind] | form
    return office.post(f"{reverse('admin:jobs_recipe_add')}?kind={kind}", filled)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_made_and_changed_with_its_form(office: Client, kind: str) -> None:
    assert office.get(f"{reverse('admin:jobs_recipe_add')}?kind={kind}").status_code == 200
    assert declare(office, kind).status_code == 302
    recipe = Recipe.objects.get()
    assert (str(recipe), recipe.kind, recipe.created_by and recipe.created_by.username) == ("mine@1", kind.partition("-")[0], "member")
    page = office.get(reverse("admin:jobs_recipe_change", args=[recipe.pk])).content.decode()
    assert all(f">{step.name}" in page for step in load_plan(recipe.plan).steps)
    # What it says stands in the form of its next number: sent as it is, it is the same.
    again = office.get(f"{reverse('admin:jobs_recipe_add')}?of={recipe.pk}")
    sent = {field.html_name: field.value() for field in again.context["form"] if field.value() not in (None, False, "")}
    assert office.post(f"{reverse('admin:jobs_recipe_add')}?of={recipe.pk}", sent).status_code == 302
    assert Recipe.objects.count() == 1


def test_what_is_wrong_stands_beside_its_field(office: Client) -> None:
    for kind, field, form in (
        ("ask", "question", {"question": " "}),
        ("custom", "user", {"user": "{{ txt }}"}),
        ("classify", "labels", {"labels": "one"}),
        ("steps", "steps", {"steps": "steps = ["}),
        ("steps", "steps", {"steps": '[[steps]]\nname = "a"\nmodel = "small"\nuser = "{{ b }}"'}),
        ("extract", "schema", {"schema": "{}"}),
        ("cascade-extract", "model", {"model": "small"}),
        ("ask", "name", {"name": "No name"}),
    ):
        answer = declare(office, kind, **form)
        assert answer.status_code == 200
        assert field in answer.context["form"].errors, (kind, answer.context["form"].errors)
    assert not Recipe.objects.exists()


def test_numbers_are_compared_and_archived_after_a_question(office: Client) -> None:
    declare(office, "ask")
    declare(office, "ask", question="How much?")
    newest = Recipe.objects.get(number=2)
    page = office.get(reverse("admin:jobs_recipe_compare", args=[newest.pk])).content.decode()
    assert "From mine@1 to mine@2" in page
    assert "question: When?" in page
    assert "question: How much?" in page
    assert office.get(reverse("admin:jobs_recipe_compare", args=[newest.pk]), {"before": "7"}).status_code == 404
    path = reverse("admin:jobs_recipe_archive", args=[newest.pk])
    assert "mine@2" in office.get(path).content.decode()
    assert Recipe.objects.filter(archived_at=None).count() == 2
    office.post(path)
    assert [recipe.number for recipe in Recipe.objects.exclude(archived_at=None)] == [2]


def test_the_list_has_the_newest_number_of_each_name_unless_all_are_asked_for(office: Client) -> None:
    declare(office, "ask")
    declare(office, "ask", question="How much?")
    page = reverse("admin:jobs_recipe_changelist")
    assert [recipe.number for recipe in office.get(page).context["cl"].result_list] == [2]
    assert [recipe.number for recipe in office.get(page, {"numbers": "all"}).context["cl"].result_list] == [2, 1]
