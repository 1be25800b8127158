"""The words of a PDF beside those that poppler's pdftotext finds in it."""

import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.knowledge.domain.sections import Section, join_text

ENOUGH = 0.98
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Compared:
    """Shares of pdftotext's words: those that were found, those that are there whatever the blanks, and as many as it has not."""

    found: float
    there: float
    beyond: float


def compare(path: Path, sections: Sequence[Section]) -> Compared | None:
    """By how often each word stands there; None without pdftotext, and where it finds no words."""
    if shutil.which("pdftotext") is None:
        return None
    told = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=True).stdout.decode(errors="replace")
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


def summarise(compared: Sequence[Compared]) -> dict[str, Any]:
    """Cells of a table; none without PDFs."""
    if not compared:
        return {}
    found, there = sorted(one.found for one in compared), sorted(one.there for one in compared)
    return {
        "at least 98 % of pdftotext's words": f"{sum(share >= ENOUGH for share in found)} of {len(compared)}",
        "median share": percent(found[len(found) // 2]),
        "at least 98 % whatever the blanks": f"{sum(share >= ENOUGH for share in there)} of {len(compared)}",
    }


def list_short(compared: Iterable[tuple[str, Compared]]) -> list[dict[str, str]]:
    """The PDFs, by name, in which too few words were found, the worst first."""
    return [
        {"PDF": name, "found": percent(one.found), "there whatever the blanks": percent(one.there), "beyond": percent(one.beyond)}
        for name, one in sorted(compared, key=lambda pair: pair[1].found)
        if one.found < ENOUGH
    ]


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"
