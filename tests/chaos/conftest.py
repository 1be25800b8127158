"""Fixtures of the chaos cases, what holds after each of them, and the tables that they end with."""

from collections.abc import Generator

import pytest

from tests.chaos import reckoning
from tests.chaos.stack import stack
from tests.chaos.tables import printed

__all__ = ["stack"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A case that holds what it says is held to its money, too, while all that it has made is still there."""
    reckoning.before_case()
    yield
    reckoning.after_case(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Pass or fail, what was measured is shown."""
    for line in (*printed(), *reckoning.printed()):
        terminalreporter.write_line(line)
