"""The parts of a stack on a terminal: a table that changes in place, or one line for each piece of news."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from apps.ops.domain.stack import PartReport, PartState

_COLOURS = {
    PartState.STARTING: "yellow",
    PartState.HEALTHY: "green",
    PartState.EXTERNAL: "green",
    PartState.UNHEALTHY: "bold red",
    PartState.RESTARTING: "bold red",
    PartState.STOPPING: "yellow",
    PartState.STOPPED: "dim",
}


class Progress:
    """Shows reports on standard error; standard output is for programs."""

    def __init__(self) -> None:
        self.console = wide_console(stderr=True)
        self.reports: dict[str, PartReport] = {}
        self.live: Live | None = None

    def report(self, news: PartReport) -> None:
        self.reports[news.part] = news
        if self.live is not None:
            self.live.update(part_table(self.reports), refresh=True)
            if news.state is PartState.RESTARTING:
                self.live.console.print(_line(news))
        else:
            self.console.print(_line(news))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the table for the length of the block, when there is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        with Live(part_table(self.reports), console=self.console, auto_refresh=False) as live:
            self.live = live
            try:
                yield
            finally:
                self.live = None


def _line(news: PartReport) -> str:
    note = f"  {news.note}" if news.note else ""
    return f"{news.part:<17} [{_COLOURS[news.state]}]{news.state:<10}[/]  {news.log}{note}"


def wide_console(*, stderr: bool) -> Console:
    """A console that cuts no path short when its output goes into a file or a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if stream.isatty() else 250)


def part_table(reports: dict[str, PartReport]) -> Table:
    """One line a part: its state, its log, and what there is to say."""
    table = Table("part", "state", "log", "", box=None, padding=(0, 2, 0, 0))
    for news in reports.values():
        table.add_row(news.part, f"[{_COLOURS[news.state]}]{news.state}[/]", news.log, news.note)
    return table
