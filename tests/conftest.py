"""Fixtures for every test."""

import signal

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
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
