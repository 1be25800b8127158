"""Fixtures of the chaos cases, and the tables that they end with."""

import pytest

from tests.chaos.stack import stack
from tests.chaos.tables import printed

__all__ = ["stack"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Pass or fail, what was measured is shown."""
    for line in printed():
        terminalreporter.write_line(line)
