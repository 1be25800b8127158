"""Recipes get numbers: the same content keeps its own, other content is the next one, and what is archived is used no more."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.accounts.models import AuditEntry, Workspace
from apps.jobs.actions import archive_recipe, declare_recipe
from apps.jobs.actions.declare_recipe import Declaration
from apps.jobs.domain.recipe import load_plan
from apps.jobs.queries.recipes import find_recipe
from apps.lib.http_errors import ApiError
from apps.prompts.actions import archive_version
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_route
from tests.factories.prompts import make_prompt, make_version

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def acme() -> Workspace:
    make_route()
    return make_workspace("acme")


def declare(workspace: Workspace, name: str = "faq", kind: str = "ask", **declared: Any) -> Declaration:
    return declare_recipe(workspace_id=workspace.id, name=name, kind=kind, declared={"model": "small", **declared}, now=NOW)


def test_the_same_content_keeps_its_number_and_other_content_is_the_next(acme: Workspace) -> None:
    first = declare(acme, question="Why?")
    assert (first.recipe.number, first.is_new) == (1, True)
    again = declare(acme, question="Why?")
    assert (again.recipe.pk, again.is_new) == (first.recipe.pk, False)
    assert declare(acme, question="How?").recipe.number == 2
    # Going back is a new number, too: who asks by the name alone gets what was declared last.
    assert declare(acme, question="Why?").recipe.number == 3
    assert declare(acme, "other", question="Why?").recipe.number == 1
    assert list(AuditEntry.objects.filter(object_type="recipe").values_list("verb", flat=True)) == ["declared"] * 4


def test_an_archived_recipe_is_found_by_its_number_alone(acme: Workspace) -> None:
    one, two = declare(acme, question="Why?").recipe, declare(acme, question="How?").recipe
    archive_recipe(workspace_id=acme.id, recipe_id=two.id, now=NOW)
    archived = archive_recipe(workspace_id=acme.id, recipe_id=two.id, now=datetime(2026, 11, 23, tzinfo=UTC))
    assert archived.archived_at == NOW
    found = [find_recipe(workspace_id=acme.id, name=name).number for name in ("faq", "faq@2", one.public_id, two.public_id)]
    assert found == [1, 2, 1, 2]
    assert declare(acme, question="How?").recipe.number == 3
    for name in ("faq@9", "faq@", "nothing", "recipe_" + "0" * 32):
        with pytest.raises(ApiError) as refused:
            find_recipe(workspace_id=acme.id, name=name)
        assert refused.value.status == 404


def test_another_workspaces_recipe_is_not_there(acme: Workspace) -> None:
    recipe, other = declare(acme, question="Why?").recipe, make_workspace("globex")
    with pytest.raises(ApiError) as refused:
        archive_recipe(workspace_id=other.id, recipe_id=recipe.id, now=NOW)
    assert refused.value.status == 404
    for name in ("faq", recipe.public_id):
        with pytest.raises(ApiError) as refused:
            find_recipe(workspace_id=other.id, name=name)
        assert refused.value.status == 404


def test_a_recipe_keeps_the_version_of_the_prompt_that_was_current(acme: Workspace) -> None:
    prompt = make_prompt(acme, name="letter")
    make_version(prompt, user="One: {{ text }}", variables=[{"name": "text"}])
    first = declare(acme, kind="custom", prompt="letter").recipe
    make_version(prompt, user="Two: {{ text }}", variables=[{"name": "text"}])
    second = declare(acme, kind="custom", prompt="letter").recipe
    assert [load_plan(recipe.plan).result_step.prompt_version for recipe in (first, second)] == ["letter@1", "letter@2"]
    assert [load_plan(recipe.plan).result_step.user for recipe in (first, second)] == ["One: {{ text }}", "Two: {{ text }}"]
    archive_version(workspace_id=acme.id, prompt_id=prompt.id, number=1, now=NOW)
    with pytest.raises(ApiError) as refused:
        declare(acme, kind="custom", prompt="letter@1")
    assert (refused.value.status, refused.value.param) == (400, "prompt")


def test_what_nobody_can_answer_for_and_what_is_no_name_is_refused_with_its_field(acme: Workspace) -> None:
    refused = []
    for name, kind, declared in (
        ("faq", "ask", {"question": "Why?", "model": "nothing"}),
        ("faq", "cascade", {"of": "custom", "user": "{{ text }}", "first_model": "nothing"}),
        ("faq", "steps", {"model": None, "steps": [{"name": "a", "model": "nothing", "user": "{{ text }}"}]}),
        ("FAQ", "ask", {"question": "Why?"}),
    ):
        with pytest.raises(ApiError) as error:
            declare(acme, name, kind, **declared)
        refused.append((error.value.status, error.value.param))
    assert refused == [(400, "model"), (400, "first_model"), (400, "model"), (400, "name")]


def test_what_it_is_for_can_be_said_anew_without_another_number(acme: Workspace) -> None:
    for description in ("Questions.", "Questions of customers.", ""):
        made = declare_recipe(
            workspace_id=acme.id, name="faq", kind="ask", declared={"model": "small", "question": "Why?"}, description=description, now=NOW
        )
    assert (made.recipe.number, made.recipe.description) == (1, "Questions of customers.")
    assert list(AuditEntry.objects.filter(object_type="recipe").order_by("id").values_list("verb", flat=True)) == ["declared", "described"]
