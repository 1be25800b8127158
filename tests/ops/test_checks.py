"""What `check --deploy` says of the platform's own settings."""

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured

from apps.lib.failpoints import VARIABLE
from apps.lib.sealing import seal
from apps.ops.apps import refuse_failpoints, require_encryption_keys


def test_failpoints_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert refuse_failpoints() == []
    monkeypatch.setenv(VARIABLE, "/tmp/points")
    assert [message.id for message in refuse_failpoints()] == ["aiplatform.E001"]


def test_secrets_need_a_key_that_seals_them(settings: LazySettings) -> None:
    assert require_encryption_keys() == []
    settings.ENCRYPTION_KEYS = {}
    assert [message.id for message in require_encryption_keys()] == ["aiplatform.E002"]
    with pytest.raises(ImproperlyConfigured, match="AIPLATFORM_ENCRYPTION_KEYS"):
        seal("a secret", keys=settings.ENCRYPTION_KEYS, owner="somebody")
