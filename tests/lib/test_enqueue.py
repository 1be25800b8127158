"""A ring goes out after commit, never from a transaction that is rolled back, and a dead broker breaks nothing."""

from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.lib.enqueue import enqueue

pytestmark = pytest.mark.django_db
Sent = list[tuple[str, dict[str, Any], str]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    messages: Sent = []

    def send_task(name: str, *, kwargs: dict[str, Any], queue: str) -> None:
        messages.append((name, kwargs, queue))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


def test_the_message_goes_after_commit(sent: Sent, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        enqueue("jobs.validate_job", queue="ingest", job_id="1")
        assert sent == []
    assert sent == [("jobs.validate_job", {"job_id": "1"}, "ingest")]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_sends_nothing(sent: Sent) -> None:
    class StopError(Exception):
        pass

    def fail_after_enqueue() -> None:
        with transaction.atomic():
            enqueue("jobs.sweep", queue="control")
            raise StopError

    with pytest.raises(StopError):
        fail_after_enqueue()
    assert sent == []


@pytest.mark.parametrize("error", [OperationalError("no broker"), ConnectionRefusedError("refused")])
def test_a_dead_broker_does_not_fail_the_request(
    error: Exception, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(current_app, "send_task", fail)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        enqueue("jobs.sweep", queue="control")
    assert len(callbacks) == 1
