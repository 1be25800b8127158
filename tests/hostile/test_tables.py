"""Every hostile table gets its clear message or is taken for what it is; nothing stays behind and the page's process stays small."""

import psutil
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import escape

from apps.files.models import File
from apps.jobs.models import Job
from tests.factories.accounts import make_office_client, make_workspace
from tests.factories.files import stored_names
from tests.hostile.tables import TABLES, Hostile
from tests.jobs.batches import make_model

pytestmark = pytest.mark.django_db
_MOST_GROWTH_BYTES = 250 << 20


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_hostile_table_is_told_clearly_and_harms_nothing(table: Hostile) -> None:
    make_model()
    form = {"workspace": str(make_workspace().id), "model": "small", "user": "Say {{text}}", "lane": "bulk", "step": "submit"}
    upload = SimpleUploadedFile(table.filename, table.make())
    before, children = psutil.Process().memory_info().rss, psutil.Process().children()
    answer = make_office_client().post(reverse("admin:jobs_job_new"), form | {"upload": upload})
    page = answer.content.decode()
    if table.message is None:
        assert answer.status_code == 302, page
        assert Job.objects.get().table_file_id
    else:
        assert answer.status_code == 200
        assert escape(table.message) in page
        assert table.line is None or f"Line {table.line}:" in page
        assert Job.objects.count() == 0
        assert all(file.deleted_at or file.expires_at for file in File.objects.all())
    assert "<script>alert" not in page
    assert psutil.Process().memory_info().rss - before < _MOST_GROWTH_BYTES
    assert psutil.Process().children() == children


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
