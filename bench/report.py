"""How figures are shown and kept."""

import json
import os
import platform
from datetime import UTC, datetime
from typing import Any

import psutil

from bench import ROOT

_LOAD_BEFORE = [round(load, 2) for load in os.getloadavg()]


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was when the benchmark began."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_before": _LOAD_BEFORE,
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p90, p99 and the worst, in milliseconds."""
    ordered = sorted(seconds)
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 1) for name, part in
            (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("max_ms", 1.0))}  # fmt: skip


def write_results(name: str, results: dict[str, Any], *, quick: bool) -> None:
    """Keep them as bench/results/<date>-<name>.json; those of a quick run are too rough to keep."""
    if quick:
        print("not written: these are the figures of a quick run")
        return
    now = datetime.now(UTC)
    target = ROOT / "bench" / "results" / f"{now:%Y-%m-%d}-{name}.json"
    target.parent.mkdir(exist_ok=True)
    content = {"bench": name, "at": now.isoformat(timespec="seconds"), "machine": machine(), **results}
    target.write_text(json.dumps(content, indent=2, default=str) + "\n")
    print(f"written to {target.relative_to(ROOT)}")


def print_table(rows: list[dict[str, Any]]) -> None:
    """A table in Markdown; the rows' keys are its heading."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for number, row in enumerate(cells):
        print("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
