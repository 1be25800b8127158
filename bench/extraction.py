"""How well and how fast documents are read: those of a folder, each through a process of its own, as a worker reads them.

    python -m bench extraction --folder FOLDER [--most 60] [--quick]

Files that are packed by gzip are unpacked first. Of each format the first ones by name are taken, the same number of each as far as there
are so many. Where poppler's pdftotext is there, the words of PDFs are compared with its words: the share of them that was found, the share
that stands on its page when blanks count for nothing (in formulas, drawings and spaced-out listings no two programs see the same ones), and
how many more there are. Prints a table, and writes bench/results/<date>-extraction.json. Without a folder there is nothing to do.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.knowledge.domain.chunks import cut_chunks
from apps.knowledge.domain.formats import PDF
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction import Limits, extract
from apps.lib.tokenizer import count_tokens, load_tokenizer
from bench.folder import choose, format_of, name_of, type_of, unpacked
from bench.report import percentiles, print_table, write_results
from bench.words import Compared, compare, list_short, summarise


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one document."""

    name: str
    format: str
    size: int
    seconds: float
    cut_seconds: float = 0
    pages: int = 0
    pieces: int = 0
    refusal: str = ""
    compared: Compared | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the documents are, at any depth")
    parser.add_argument("--most", type=int, default=60, help="documents in all")
    parser.add_argument("--quick", action="store_true", help="a tenth of them")
    arguments = parser.parse_args()
    if arguments.folder is None:
        print("extraction: no --folder is given, nothing to read")
        return
    load_tokenizer()
    readings = [_read(path) for path in choose(arguments.folder, arguments.most // (10 if arguments.quick else 1))]
    rows = list(_rows(readings))
    print_table(rows)
    for reading in readings:
        if reading.refusal:
            print(f"refused: {reading.name}: {reading.refusal}")
    short = list_short((reading.name, reading.compared) for reading in readings if reading.compared is not None)
    if short:
        print_table(short)
    biggest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"biggest process: {biggest / 1e6:.0f} MB")
    write_results("extraction", {"rows": rows, "pdfs_below_98_percent": short, "biggest_process_bytes": biggest}, quick=arguments.quick)


def _read(path: Path) -> Reading:
    name, format_ = name_of(path), format_of(path)
    with unpacked(path) as plain, plain.open("rb") as file:
        size = plain.stat().st_size
        started = time.perf_counter()
        try:
            extracted = extract(file, filename=name, limits=Limits())
        except Refused as refused:
            return Reading(name, format_, size, time.perf_counter() - started, refusal=str(refused))
        read = time.perf_counter()
        pieces = cut_chunks(extracted.sections, max_tokens=500, overlap_tokens=50, count=count_tokens)
        cut = time.perf_counter() - read
        compared = compare(plain, extracted.sections) if type_of(path) == PDF else None
        return Reading(name, format_, size, read - started, cut, extracted.pages, len(pieces), "", compared)


def _rows(readings: list[Reading]) -> Iterator[dict[str, Any]]:
    for format_ in sorted({reading.format for reading in readings}):
        own = [reading for reading in readings if reading.format == format_]
        read = [reading for reading in own if not reading.refusal]
        times = percentiles([reading.seconds for reading in own])
        pieces = sum(reading.pieces for reading in read)
        row: dict[str, Any] = {
            "format": format_,
            "documents": len(own),
            "read": len(read),
            "MB": f"{sum(reading.size for reading in own) / 1e6:.1f}",
            "pages": sum(reading.pages for reading in read),
            "pieces": pieces,
            "p50 ms": times["p50_ms"],
            "worst ms": times["max_ms"],
            "ms a piece to cut": f"{1e3 * sum(reading.cut_seconds for reading in read) / max(1, pieces):.2f}",
        }
        row |= summarise([reading.compared for reading in read if reading.compared is not None])
        yield row


if __name__ == "__main__":
    main()
