"""CPU that assembling a request takes: 20 passages and 100 turns, all of which fit, or of which half must go.

    python -m bench assembly [--quick]

Milliseconds of CPU for one request. "Counts kept" is what a conversation does, whose turns and passages keep their tokens; "counted here"
counts all of them anew.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from apps.lib.tokenizer import count_tokens
from apps.prompts.domain.assembly import Part, SectionName, Sections, Turn, assemble
from bench.report import percentiles, print_table, write_results

_SAID = "money is paid back when the goods <b>return</b> within thirty days of delivery unless they were made to order"
_SYSTEM = "Answer from the passages alone, cite each by its number, and say so when they do not tell. " * 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    arguments = parser.parse_args()
    rounds = 50 if arguments.quick else 500
    rows = []
    for what, are_kept in (("counts kept", True), ("counted here", False)):
        sections = _sections(are_kept=are_kept)
        whole = assemble(sections, 1_000_000).report
        for fits, window in (("all fits", whole.tokens), ("half must go", whole.tokens // 2)):
            told = assemble(sections, window).report
            times = percentiles(_measured(partial(assemble, sections, window), rounds))
            rows.append({
                "tokens": what,
                "window": f"{fits} ({window:,})",
                "passages kept": told.of(SectionName.PASSAGES).kept,
                "turns kept": told.of(SectionName.HISTORY).kept,
                "cpu p50 ms": round(times["p50_ms"], 2),
                "cpu p99 ms": round(times["p99_ms"], 2),
            })  # fmt: skip
    print_table(rows)
    write_results("assembly", {"rows": rows}, quick=arguments.quick)


def _measured(work: Callable[[], Any], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return seconds


def _sections(*, are_kept: bool) -> Sections:
    """About 500 tokens a passage and 80 a turn."""
    random = Random(7)

    def text(words: int) -> tuple[str, int | None]:
        said = " ".join(random.choices(_SAID.split(" "), k=words))
        return said, count_tokens(said) if are_kept else None

    return Sections(
        input=text(40)[0],
        system=_SYSTEM,
        passages=[Part(*text(420), label=f"rules.pdf, page {number}") for number in range(20)],
        memory=[Part(*text(15)) for _ in range(10)],
        history=[Turn(("user", "assistant")[number % 2], *text(65)) for number in range(100)],
    )


if __name__ == "__main__":
    main()
