"""What waits, by model: from the counts of jobs with one model, from the items of the others."""

import sys
from collections.abc import Sequence

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.jobs.actions import report_waiting
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item
from tests.factories.accounts import make_office_client, make_user
from tests.factories.jobs import make_job as make_lived_job
from tests.factories.providers import make_model
from tests.jobs.rows import make_job, make_workspace

pytestmark = pytest.mark.django_db


def waiting(workspace_ids: Sequence[object] | None = None) -> dict[str, tuple[int, int, int]]:
    return {one.model: (one.waiting, one.running, one.paused) for one in report_waiting(workspace_ids=workspace_ids)}  # type: ignore[arg-type]  # ids


def test_of_jobs_with_one_model_what_is_open_and_does_not_run_waits() -> None:
    make_lived_job(done=3, dead=1, running=2, waiting=4)
    make_lived_job(done=1, running=0, waiting=2, dead=0, status=JobStatus.PAUSED)
    make_lived_job(done=1, dead=0, running=0, waiting=5, status=JobStatus.COMPLETED, ended_at=timezone.now())
    make_lived_job(done=0, dead=0, running=0, waiting=5, status=JobStatus.CANCELLING)
    assert waiting() == {"small": (6, 2, 2)}
    assert report_waiting(workspace_ids=None)[0].oldest_seconds > 0


def test_of_jobs_with_several_models_the_items_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = make_model("small"), make_model("large")
    first = make_job(prompts=["a", "b", "c"], model_id=small.id)
    second = make_job(prompts=["d"], model_id=large.id)
    Item.objects.filter(job=first, position=1).update(state="running")
    # It asks a first model: its items may wait for either.
    second.model_name, second.first_model_name = "large", "small"
    second.save()
    assert waiting() == {"small": (2, 1, 0), "large": (1, 0, 0)}
    assert not report_waiting(workspace_ids=None)[0].is_at_least
    monkeypatch.setattr(sys.modules["apps.jobs.actions.report_waiting"], "MOST_LOOKED_AT", 2)
    assert report_waiting(workspace_ids=None)[0].is_at_least


def test_people_see_the_work_of_their_workspaces() -> None:
    make_lived_job(workspace=make_workspace("acme"), waiting=7)
    make_lived_job(workspace=make_workspace("globex"), waiting=30)
    viewer = make_office_client(make_user("viewer", is_superuser=False, is_staff=True, acme=Role.VIEWER))
    page = reverse("admin:jobs_item_by_model")
    assert "<td>small</td><td>7</td>" in viewer.get(page).content.decode()
    assert "<td>small</td><td>37</td>" in make_office_client().get(page).content.decode()


def test_an_empty_platform_says_so() -> None:
    assert "Nothing waits" in make_office_client().get(reverse("admin:jobs_item_by_model")).content.decode()
