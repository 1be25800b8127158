"""Promises and what breaks them, on a terminal."""

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from apps.ops.queries.invariants import Finding


def invariant_table(findings: Iterable[Finding]) -> Table:
    """One line a promise, with the first things that break it below."""
    table = Table("promise", "", "broken", box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        colour = "bold red" if finding.broken else "green"
        table.add_row(finding.name, finding.promise, f"[{colour}]{finding.broken}[/]")
        for example in finding.examples:
            table.add_row("", f"  {escape(example)}", "")
    return table
