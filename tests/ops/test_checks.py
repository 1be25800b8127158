"""What `check --deploy` says of the platform's own settings."""

import pytest

from apps.lib.failpoints import VARIABLE
from apps.ops.apps import refuse_failpoints


def test_failpoints_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert refuse_failpoints() == []
    monkeypatch.setenv(VARIABLE, "/tmp/points")
    assert [message.id for message in refuse_failpoints()] == ["aiplatform.E001"]
