"""Every secret in the database is sealed anew with a newer key, while others read and write; then the older key can go."""

import json
from base64 import b32decode
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.utils import timezone
from django_otp.oath import totp as code_at

from apps.accounts.actions import begin_second_factor, check_code, confirm_second_factor
from apps.accounts.domain.idempotency import KEY_HEADER, REPLAYED_HEADER
from apps.accounts.models import AuditEntry, Authenticator, IdempotencyRecord
from apps.lib.sealing import SealInvalidError, seal, unseal
from apps.ops.actions import reseal_secrets as action
from apps.ops.queries.seals import SEALED_COLUMNS
from apps.providers.actions import save_provider_key
from apps.providers.models import Provider
from apps.providers.queries import load_catalogue
from apps.webhooks.actions import rotate_secret
from apps.webhooks.models import Endpoint
from tests.chaos.workers import own_database_url
from tests.factories.accounts import make_client, make_user, make_workspace
from tests.factories.providers import make_model, make_provider
from tests.factories.webhooks import make_endpoint_with_secret

pytestmark = pytest.mark.django_db

OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 32}


@pytest.fixture
def under(settings: LazySettings) -> Callable[..., None]:
    """Everything that follows has these keys, the first one seals."""

    def change(*keys: dict[str, bytes]) -> None:
        settings.ENCRYPTION_KEYS = {name: key for one in keys for name, key in one.items()}

    change(OLD)
    return change


def reseal(**options: bool) -> str:
    told = StringIO()
    call_command("reseal_secrets", stdout=told, stderr=StringIO(), **options)
    return told.getvalue()


def sealed() -> dict[str, list[str]]:
    """What stands in each column."""
    return {str(column): list(column.filled().values_list(column.name, flat=True)) for column in SEALED_COLUMNS}


def make_records(number: int) -> None:
    workspace, now = make_workspace(), timezone.now()
    rows = [IdempotencyRecord(workspace=workspace, route="POST /x", key=f"k{n}", status=200, created_at=now) for n in range(number)]
    for row in rows:
        row.expires_at = now + timedelta(days=7)
        row.answer_sealed = seal(f"answer {row.key}", keys=OLD, owner=row.seal_owner)
    IdempotencyRecord.objects.bulk_create(rows)


def test_every_sealed_column_is_known() -> None:
    named = {(model, field.name) for model in apps.get_models() for field in model._meta.fields if field.name.endswith("_sealed")}
    assert {(column.model, column.name) for column in SEALED_COLUMNS} == named
    assert len(named) >= 5


def test_everything_that_was_sealed_works_with_the_new_key_alone(under: Callable[..., None]) -> None:
    provider = make_provider()
    save_provider_key(provider_id=provider.id, api_key="sk-live")
    model = make_model("small", provider)
    endpoint, secret = make_endpoint_with_secret()
    second = rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=timezone.now()).secret
    user = make_user()
    factor = begin_second_factor(user)
    confirm_second_factor(user, code=f"{code_at(b32decode(factor.secret)):06}", mark=factor.mark, now=timezone.now())
    client = make_client()
    body = json.dumps({"name": "nightly", "scopes": ["files"]})
    send = {"path": "/api/keys", "data": body, "content_type": "application/json", "headers": {KEY_HEADER: "once"}}
    made = client.post(**send)

    under(NEW, OLD)
    assert "5 sealed anew with 'new', which seals 5 secrets now; no other key seals any: 'old' can be taken out" in reseal()
    under(NEW)
    assert load_catalogue().routes(model.id)[0].api_key == "sk-live"
    endpoint.refresh_from_db()
    opened = [unseal(text, keys=NEW, owner=endpoint.seal_owner) for text in (endpoint.secret_sealed, endpoint.previous_secret_sealed)]
    assert opened == [second, secret]
    later = timezone.now() + timedelta(seconds=30)
    check_code(f"{code_at(b32decode(factor.secret), t0=-30):06}", user_id=user.pk, now=later)
    again = client.post(**send)
    assert (again.status_code, again.content, again.headers[REPLAYED_HEADER]) == (201, made.content, "true")
    assert reseal() == "0 sealed anew with 'new', which seals 5 secrets now; no other key seals any: it is the only key.\n"
    entry = AuditEntry.objects.get(verb="resealed")
    assert (entry.actor_kind, entry.object_label, entry.changes) == ("command", "under new", {"rows": {"before": None, "after": 5}})


def test_a_second_factor_that_is_being_set_up_meanwhile_is_not_begun_anew(under: Callable[..., None]) -> None:
    user = make_user()
    factor = begin_second_factor(user)
    under(NEW, OLD)
    reseal()
    assert begin_second_factor(user, mark=factor.mark).secret == factor.secret
    confirm_second_factor(user, code=f"{code_at(b32decode(factor.secret)):06}", mark=factor.mark, now=timezone.now())
    assert Authenticator.objects.get().confirmed


def test_broken_off_it_goes_on_with_what_is_left(under: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    make_records(1200)
    under(NEW, OLD)
    seen = []

    def break_off(_: object, done: int) -> None:
        seen.append(done)
        if done == 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        action.reseal_secrets(report=break_off)
    assert seen == [500, 1000]
    assert IdempotencyRecord.objects.filter(answer_sealed__startswith="new:").count() == 1000
    done = action.reseal_secrets(report=lambda *_: None)
    assert (done.sealed, done.by_key, done.unreadable) == (200, {"new": 1200}, {})
    for row in IdempotencyRecord.objects.all():
        assert unseal(row.answer_sealed, keys=NEW, owner=row.seal_owner) == f"answer {row.key}"


def test_a_dry_run_counts_and_changes_nothing(under: Callable[..., None]) -> None:
    make_records(3)
    save_provider_key(provider_id=make_provider().id, api_key="sk-live")
    under(NEW, OLD)
    before = sealed()
    told = " ".join(reseal(dry_run=True).split())
    assert sealed() == before
    assert "provider api_key_sealed old 1 " in told
    assert told.endswith("4 would be sealed anew with 'new'. Nothing was changed.")
    under(NEW)
    assert "not in AIPLATFORM_ENCRYPTION_KEYS" in reseal(dry_run=True)


@pytest.mark.django_db(transaction=True)
def test_what_somebody_is_writing_is_not_waited_for_but_left_to_the_next_call(under: Callable[..., None]) -> None:
    make_records(3)
    busy = IdempotencyRecord.objects.get(key="k1")
    under(NEW, OLD)
    with psycopg.connect(own_database_url()) as other:
        other.execute("SELECT 1 FROM accounts_idempotencyrecord WHERE id = %s FOR UPDATE", [busy.pk])
        with pytest.raises(CommandError, match=r"2 sealed anew .* Left behind: 1 with 'old'. Somebody was writing them: call this again"):
            reseal()
        other.rollback()
    assert "1 sealed anew with 'new', which seals 3 secrets now; no other key" in reseal()


def swap(model: type[Model], column: str, one: Any, two: Any) -> None:
    first, second = (model._default_manager.values_list(column, flat=True).get(pk=pk) for pk in (one, two))
    model._default_manager.filter(pk=one).update(**{column: second})
    model._default_manager.filter(pk=two).update(**{column: first})


def test_a_sealed_secret_that_was_moved_to_another_row_does_not_open_and_is_left_alone(under: Callable[..., None]) -> None:
    make_records(2)
    for name in ("one", "two"):
        save_provider_key(provider_id=make_provider(name).id, api_key=f"sk-{name}")
        begin_second_factor(make_user(name))
        endpoint, _ = make_endpoint_with_secret(make_workspace(name))
        rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=timezone.now())
    for column in SEALED_COLUMNS:
        swap(column.model, column.name, *column.filled().values_list("pk", flat=True))
        for row in column.filled():
            with pytest.raises(SealInvalidError, match="does not open"):
                unseal(getattr(row, column.name), keys=OLD, owner=row.seal_owner)
    under(NEW, OLD)
    before = sealed()
    with pytest.raises(CommandError, match=r"0 sealed anew .* Left behind: 10 with 'old'. Enter anew what doesn't open"):
        reseal()
    assert sealed() == before


def test_a_secret_of_one_kind_does_not_open_as_one_of_another(under: Callable[..., None]) -> None:
    save_provider_key(provider_id=make_provider().id, api_key="sk-live")
    endpoint, _ = make_endpoint_with_secret()
    Endpoint.objects.update(secret_sealed=Provider.objects.get().api_key_sealed)
    endpoint.refresh_from_db()
    with pytest.raises(SealInvalidError):
        unseal(endpoint.secret_sealed, keys=OLD, owner=endpoint.seal_owner)


def test_a_key_that_is_still_needed_and_gone_is_told_by_the_check(under: Callable[..., None]) -> None:
    make_records(2)
    save_provider_key(provider_id=make_provider().id, api_key="sk-live")
    assert lost() == []
    under(NEW)
    assert lost() == ["3 secrets are sealed with 'old', which is not in AIPLATFORM_ENCRYPTION_KEYS."]
    with pytest.raises(CommandError, match=r"Left behind: 3 with 'old'\. Put 'old' back"):
        reseal()
    under(NEW, OLD)
    assert lost() == []
    reseal()
    under(NEW)
    assert lost() == []
    under()
    with pytest.raises(CommandError, match="is not set"):
        reseal()


def lost() -> list[str]:
    found = run_checks(databases=["default"])
    return [message.msg for message in found if message.id == "aiplatform.W001"]
