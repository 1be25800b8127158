"""Answer a request that must count once: from its record, or by doing it and recording what came of it in the same transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from apps.accounts.domain.idempotency import Once
from apps.accounts.models import IdempotencyRecord
from apps.accounts.queries import find_record
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.sealing import seal, unseal


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets."""

    status: int
    content: bytes
    content_type: str


def answer_once(once: Once, *, perform: Callable[[], Answer], now: datetime) -> tuple[Answer, bool]:
    """(answer, whether it was given before). What `perform` writes is undone when its answer is no success: then nothing is remembered.

    ApiError 409 while the same request is under way, 422 when its key came with another body before. A process that is killed midway
    leaves neither the work nor the record.
    """
    with transaction.atomic():
        _lock(once)
        if not once.is_guess or once.is_retry:
            record = find_record(once, now=now)
            if record is not None and record.status is not None:
                return _read(record), True
        answer = perform()
        if 200 <= answer.status < 300:
            _write(once, answer, now=now)
        else:
            transaction.set_rollback(True)
    return answer, False


def remember_result(once: Once, *, result_id: UUID, in_place_of: UUID | None, now: datetime) -> None:
    """Record what answers `once` from now on, in the caller's transaction; ApiError 409 when somebody else was quicker.

    `in_place_of` is an earlier result that came to nothing.
    """
    rows = IdempotencyRecord.objects.filter(workspace_id=once.workspace_id, route=once.route, key=once.key)
    if in_place_of is not None or once.is_guess:
        rows.filter(**({} if once.is_guess else {"result_id": in_place_of})).delete()
    else:
        rows.filter(expires_at__lte=now).delete()
    made = IdempotencyRecord.objects.bulk_create([_row(once, now=now, result_id=result_id)], ignore_conflicts=True)
    if not rows.filter(id=made[0].id).exists():
        raise _under_way()


def _lock(once: Once) -> None:
    """Until the transaction ends. Requests that only look alike don't keep each other out; a retry waits for its original."""
    is_shared = once.is_guess and not once.is_retry
    function = "pg_try_advisory_xact_lock_shared" if is_shared else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [once.lock_number])
        is_locked = bool(cursor.fetchall()[0][0])
    if not is_locked and not is_shared:
        raise _under_way()


def _under_way() -> ApiError:
    message = "The same request is being worked on at this moment. Ask again in a second: the answer will be the one that it gets."
    return ApiError(409, "request_in_progress", message, headers={"Retry-After": "1"})


def _read(record: IdempotencyRecord) -> Answer:
    text = unseal(record.answer_sealed, keys=settings.ENCRYPTION_KEYS, owner=record.seal_owner)
    return Answer(status=record.status or 200, content=text.encode(), content_type=record.content_type)


def _write(once: Once, answer: Answer, *, now: datetime) -> None:
    row = _row(once, now=now)
    row.status, row.content_type = answer.status, answer.content_type
    row.answer_sealed = seal(answer.content.decode(), keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)
    IdempotencyRecord.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["workspace", "route", "key"],
        update_fields=["fingerprint", "status", "content_type", "answer_sealed", "created_at", "expires_at"],
    )


def _row(once: Once, *, now: datetime, result_id: UUID | None = None) -> IdempotencyRecord:
    return IdempotencyRecord(
        id=uuid7(),
        workspace_id=once.workspace_id,
        route=once.route,
        key=once.key,
        fingerprint=once.fingerprint,
        result_id=result_id,
        created_at=now,
        expires_at=now + once.kept,
    )
