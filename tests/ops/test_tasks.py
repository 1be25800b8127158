"""Canaries and the forgetting of results, through the tasks that beat rings for."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from django_celery_results.models import TaskResult

from apps.lib.redis_client import redis_client
from apps.ops.actions.forget_results import forget_results
from apps.ops.actions.release_canaries import release_canaries
from apps.ops.queries.health import CANARY_KEY, WATCHED_QUEUES
from apps.ops.tasks import land_canary

pytestmark = pytest.mark.django_db


def test_a_canary_is_sent_through_every_watched_queue(django_capture_on_commit_callbacks: object) -> None:
    captured = django_capture_on_commit_callbacks(execute=True)  # type: ignore[operator]  # pytest-django's fixture
    with patch("apps.lib.enqueue.current_app.send_task") as send, captured:
        release_canaries()
    sent = [(call.args[0], call.kwargs["queue"], call.kwargs["kwargs"]) for call in send.call_args_list]
    assert sent == [("ops.land_canary", queue, {"on_queue": queue}) for queue in WATCHED_QUEUES]


def test_a_landed_canary_is_noted() -> None:
    redis_client().delete(CANARY_KEY.format(queue="bulk"))
    land_canary(on_queue="bulk")
    assert redis_client().exists(CANARY_KEY.format(queue="bulk"))


def test_results_older_than_three_days_are_forgotten_in_bites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.ops.actions.forget_results._AT_ONCE", 2)
    now = timezone.now()
    for number in range(7):
        TaskResult.objects.create(task_id=f"task-{number}")
    old = TaskResult.objects.exclude(task_id__in=["task-0", "task-1"])
    old.update(date_done=now - timedelta(days=3, seconds=1))
    assert forget_results(now=now) == 5
    assert sorted(TaskResult.objects.values_list("task_id", flat=True)) == ["task-0", "task-1"]
