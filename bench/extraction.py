"""How well and how fast documents are read: those of a folder, each through a process of its own, as a worker reads them.

    python -m bench extraction --folder FOLDER [--most 60] [--quick]

Files that are packed by gzip are unpacked first. Of each format the first ones by name are taken, the same number of each as far as there
are so many. Where poppler's pdftotext is there, the words of PDFs are compared with its words: the share of them that was found, the share
that stands on its page when blanks count for nothing (in formulas, drawings and spaced-out listings no two programs see the same ones), and
how many more there are. Prints a table, and writes bench/results/<date>-extraction.json. Without a folder there is nothing to do.
"""

import argparse
import gzip
import re
import resource
import shutil
import subprocess
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.knowledge.domain.chunks import cut_chunks
from apps.knowledge.domain.formats import PDF, TYPE_OF_ENDING, ending_of
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Section, join_text
from apps.knowledge.extraction import Limits, extract
from apps.lib.tokenizer import count_tokens, load_tokenizer
from bench.report import percentiles, print_table, write_results

_WORD = re.compile(r"\w+")


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
    compared: "Compared | None" = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Shares of pdftotext's words: those that were found, those that are there whatever the blanks, and as many as it has not."""

    found: float
    there: float
    beyond: float


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
    readings = [_read(path) for path in _chosen(arguments.folder, arguments.most // (10 if arguments.quick else 1))]
    rows = list(_rows(readings))
    print_table(rows)
    for reading in readings:
        if reading.refusal:
            print(f"refused: {reading.name}: {reading.refusal}")
    compared = [(reading.compared, reading.name) for reading in readings if reading.compared is not None]
    for shares, name in sorted(compared, key=lambda one: one[0].found)[:5]:
        found, there, beyond = (f"{100 * share:.2f} %" for share in (shares.found, shares.there, shares.beyond))
        print(f"PDF: {name}: {found} of pdftotext's words, {there} whatever the blanks, {beyond} beyond")
    biggest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"biggest process: {biggest / 1e6:.0f} MB")
    write_results("extraction", {"rows": rows, "biggest_process_bytes": biggest}, quick=arguments.quick)


def _chosen(folder: Path, most: int) -> list[Path]:
    """Round by round one of each format, each name once."""
    by_format: dict[str, dict[str, Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size):
        name = path.name.removesuffix(".gz")
        if media_type := TYPE_OF_ENDING.get(ending_of(name)):
            by_format.setdefault(media_type, {}).setdefault(name, path)
    rounds = [list(paths.values()) for paths in by_format.values()]
    longest = max(map(len, rounds), default=0)
    return [paths[number] for number in range(longest) for paths in rounds if number < len(paths)][:most]


def _read(path: Path) -> Reading:
    with tempfile.NamedTemporaryFile() as file:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            shutil.copyfileobj(stream, file)
        file.flush()
        name = path.name.removesuffix(".gz")
        size, media_type = Path(file.name).stat().st_size, TYPE_OF_ENDING[ending_of(name)]
        started = time.perf_counter()
        try:
            extracted = extract(file.file, filename=name, limits=Limits())
        except Refused as refused:
            return Reading(name, media_type, size, time.perf_counter() - started, refusal=str(refused))
        read = time.perf_counter()
        pieces = cut_chunks(extracted.sections, max_tokens=500, overlap_tokens=50, count=count_tokens)
        cut = time.perf_counter() - read
        compared = _compared(file.name, extracted.sections) if media_type == PDF else None
        return Reading(name, media_type, size, read - started, cut, extracted.pages, len(pieces), "", compared)


def _compared(path: str, sections: Sequence[Section]) -> Compared | None:
    """Words as pdftotext finds them, by how often each stands there."""
    if shutil.which("pdftotext") is None:
        return None
    told = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True).stdout.decode(errors="replace")
    # Ligatures are letters here, and signs of their own to pdftotext.
    other, text = (unicodedata.normalize("NFKC", one) for one in (told, join_text(sections)))
    ours, theirs = (Counter(_WORD.findall(one)) for one in (text, other))
    all_of_theirs = sum(theirs.values())
    if not all_of_theirs:
        return None
    shares = (sum((ours & theirs).values()), all_of_theirs - _count_lost(other, sections), sum((ours - theirs).values()))
    return Compared(*(share / all_of_theirs for share in shares))


def _count_lost(other: str, sections: Sequence[Section]) -> int:
    """How many words of pdftotext's pages stand on ours neither as words nor in the row of all letters."""
    pages: dict[str, str] = {}
    for section in sections:
        pages[section.anchor] = pages.get(section.anchor, "") + "\n" + unicodedata.normalize("NFKC", section.text)
    lost = 0
    for number, page in enumerate(other.split("\f"), start=1):
        ours = _WORD.findall(pages.get(f"page {number}", ""))
        row = "".join(ours)
        lost += sum(times for word, times in (Counter(_WORD.findall(page)) - Counter(ours)).items() if word not in row)
    return lost


def _rows(readings: list[Reading]) -> Iterator[dict[str, Any]]:
    for media_type in sorted({reading.format for reading in readings}):
        own = [reading for reading in readings if reading.format == media_type]
        read = [reading for reading in own if not reading.refusal]
        times = percentiles([reading.seconds for reading in own])
        pieces = sum(reading.pieces for reading in read)
        row: dict[str, Any] = {
            "format": media_type.rpartition(".")[2] if "." in media_type else media_type,
            "documents": len(own),
            "read": len(read),
            "MB": f"{sum(reading.size for reading in own) / 1e6:.1f}",
            "pages": sum(reading.pages for reading in read),
            "pieces": pieces,
            "p50 ms": times["p50_ms"],
            "worst ms": times["max_ms"],
            "ms a piece to cut": f"{1e3 * sum(reading.cut_seconds for reading in read) / max(1, pieces):.2f}",
        }
        if compared := [reading.compared for reading in read if reading.compared is not None]:
            found, there = sorted(one.found for one in compared), sorted(one.there for one in compared)
            row["at least 98 % of pdftotext's words"] = f"{sum(share >= 0.98 for share in found)} of {len(compared)}"
            row["median share"] = f"{100 * found[len(compared) // 2]:.2f} %"
            row["at least 98 % whatever the blanks"] = f"{sum(share >= 0.98 for share in there)} of {len(compared)}"
        yield row


if __name__ == "__main__":
    main()
