"""What is no table does not stay in the storage; test_corpus.py sends every table to the page of a live platform."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.files.models import File
from tests.factories.accounts import make_office_client, make_workspace
from tests.factories.files import stored_names
from tests.hostile.tables import TABLES, Hostile
from tests.jobs.batches import make_model

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("table", [table for table in TABLES if table.name in {"noise", "a PDF", "a zip bomb", "macros"}], ids=str)
def test_what_is_no_table_does_not_stay_in_the_storage(table: Hostile, django_capture_on_commit_callbacks: pytest.FixtureRequest) -> None:
    make_model()
    before = stored_names()
    form = {"workspace": str(make_workspace().id), "model": "small", "user": "Say {{text}}", "lane": "bulk", "step": "preview"}
    upload = SimpleUploadedFile(table.filename, table.make())
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # pytest-django's fixture is a function
        make_office_client().post(reverse("admin:jobs_job_new"), form | {"upload": upload})
    assert stored_names() == before
    assert File.objects.get().deleted_at
