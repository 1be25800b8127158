"""A new job of documents in the back office: chosen, looked at, submitted; files are uploaded on the way."""

import io
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.jobs.models import Job, JobDocument, Recipe
from apps.knowledge.models import Collection
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_route
from tests.factories.knowledge import make_collection, make_document
from tests.factories.recipes import make_recipe

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> Client:
    return make_office_client(make_user("member", acme=Role.MEMBER))


@pytest.fixture
def collection() -> Collection:
    made = make_collection()
    make_document("Money is paid back within fourteen days.", collection=made, name="rules.txt", department="sales")
    make_document("A chair costs 1,234.50 dollars.", collection=made, name="prices.txt")
    return made


@pytest.fixture
def recipe() -> Recipe:
    make_route("tiny")
    return make_recipe(make_workspace())


def send(office: Client, chosen: Collection, by: Recipe, **form: Any) -> Any:
    filled = {"collection": chosen.pk, "recipe": by.pk, "which": "all", "lane": "default", "reuse": "on", "step": "preview"}
    return office.post(reverse("admin:jobs_job_new_documents"), filled | form)


def test_it_is_looked_at_and_then_submitted(office: Client, collection: Collection, recipe: Recipe) -> None:
    page = office.get(f"{reverse('admin:jobs_job_new_documents')}?collection={collection.pk}")
    assert "rules.txt" in page.content.decode()
    seen = send(office, collection, recipe)
    assert seen.status_code == 200
    assert (seen.context["seen"].documents, seen.context["seen"].known) == (2, 0)
    assert 'id="cost"' in seen.content.decode()
    assert not Job.objects.exists()
    answer = send(office, collection, recipe, step="submit")
    job = Job.objects.get()
    assert answer.headers["Location"] == reverse("admin:jobs_job_change", args=[job.pk])
    assert (job.kind, job.recipe, job.created_by and job.created_by.username) == ("documents", recipe, "member")
    assert [document.name for document in job.documents.order_by("position")] == ["rules.txt", "prices.txt"]


@pytest.mark.parametrize(
    ("form", "names"),
    [({"which": "metadata", "metadata": '{"department": "sales"}'}, ["rules.txt"]), ({"which": "chosen"}, ["prices.txt"])],
)
def test_some_of_the_documents_are_chosen(
    form: dict[str, Any], names: list[str], office: Client, collection: Collection, recipe: Recipe
) -> None:
    ticked = {"documents": [collection.documents.get(name="prices.txt").pk]} if form["which"] == "chosen" else {}
    send(office, collection, recipe, step="submit", **form, **ticked)
    assert list(JobDocument.objects.values_list("name", flat=True)) == names


def test_a_zip_is_uploaded_into_the_collection_and_its_documents_alone_are_asked(
    office: Client, collection: Collection, recipe: Recipe
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.txt", "One.")
        archive.writestr("two.md", "# Two")
    seen = send(office, collection, recipe, which="uploaded", upload=SimpleUploadedFile("both.zip", packed.getvalue()))
    assert (seen.context["seen"].documents, seen.context["seen"].unread) == (2, 2)
    assert collection.documents.count() == 4
    send(office, collection, recipe, which="uploaded", uploaded=seen.context["wanted"].uploaded_text, step="submit")
    assert sorted(JobDocument.objects.values_list("name", flat=True)) == ["one.txt", "two.md"]


def test_what_is_wrong_stands_beside_its_field(office: Client, collection: Collection, recipe: Recipe) -> None:
    make_user("other", globex=Role.MEMBER)
    theirs = make_collection(make_workspace("globex"), name="theirs")
    for form, field in (
        ({"which": "chosen"}, "which"),
        ({"which": "uploaded"}, "which"),
        ({"which": "metadata"}, "metadata"),
        ({"which": "metadata", "metadata": '{"department": "none"}'}, "which"),
        ({"collection": theirs.pk}, "collection"),
        ({"recipe": make_recipe(make_workspace("globex")).pk}, "recipe"),
        ({"uploaded": "x"}, "uploaded"),
        ({"max_cost_usd": "-1"}, "max_cost_usd"),
    ):
        answer = send(office, collection, recipe, step="submit", **form)
        assert answer.status_code == 200
        assert field in answer.context["form"].errors, (form, answer.context["form"].errors)
    assert not Job.objects.exists()
