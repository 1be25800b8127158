"""Fixtures for every test."""

import signal
from typing import Any

from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import HealthCheck, settings

from tests.simulated import simulated_provider, simulator

__all__ = ["pytest_configure", "simulated_provider", "simulator"]


def pytest_configure() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would the processes that are sent one here.

    And how long an example takes tells of the machine, not of what it shows. The examples are the same in every run, so that a change is
    judged by what it changes.
    """
    settings.register_profile("aiplatform", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("aiplatform")
    DatabaseOperations.sql_flush = _flush_audit_log_too
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_sql_flush = DatabaseOperations.sql_flush
AUDIT_LOG = "ALTER TABLE accounts_auditentry {} TRIGGER accounts_auditentry_no_truncate;"


def _flush_audit_log_too(*arguments: Any, **options: Any) -> list[str]:
    """Between tests every table is emptied, this one, too, which refuses that otherwise."""
    told = _sql_flush(*arguments, **options)
    return [AUDIT_LOG.format("DISABLE"), *told, AUDIT_LOG.format("ENABLE")] if told else told
