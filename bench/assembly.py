"""CPU that assembling a request takes: 20 passages and 100 turns, all of which fit, or of which half must go.

    python -m bench assembly [--quick]

Milliseconds of CPU for one request. "Counts kept" is what a conversation does, whose turns and passages keep their tokens; "counted here"
counts all of them anew. "HTML" has a tag at each second word, of which none is ours; in "our tags" each text holds some that are.
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
_HTML = "<p>money is</p> <td>paid back</td> <main>when</main> the goods <b>return</b> within <meta>thirty</meta> days of delivery"
_OURS = f"{_SAID} <message>unless</message> they"
_SYSTEM = "Answer from the passages alone, cite each by its number, and say so when they do not tell. " * 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    arguments = parser.parse_args()
    rounds = 50 if arguments.quick else 500
    rows = []
    for what, said, are_kept in (
        ("counts kept", _SAID, True),
        ("counts kept, HTML", _HTML, True),
        ("counts kept, our tags", _OURS, True),
        ("counted here", _SAID, False),
    ):
        sections = _sections(said, are_kept=are_kept)
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


def _sections(words: str, *, are_kept: bool) -> Sections:
    """About 500 tokens a passage and 80 a turn."""
    random = Random(7)
    each = count_tokens(words) / len(words.split(" "))

    def text(tokens: int) -> tuple[str, int | None]:
        said = " ".join(random.choices(words.split(" "), k=round(tokens / each)))
        return said, count_tokens(said) if are_kept else None

    return Sections(
        input=text(50)[0],
        system=_SYSTEM,
        passages=[Part(*text(500), label=f"rules.pdf, page {number}") for number in range(20)],
        memory=[Part(*text(18)) for _ in range(10)],
        history=[Turn(("user", "assistant")[number % 2], *text(80)) for number in range(100)],
    )


if __name__ == "__main__":
    main()
