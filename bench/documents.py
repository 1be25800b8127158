"""Real documents in one job: uploaded to a collection, read, and each summarised by the simulated provider.

    python -m bench documents --folder FOLDER [--most 1000] [--quick]

All of it goes through the API, as a program that uses it would: the collection, the recipe (the built-in summary), the uploads, one job
over all documents, its end, its answers and refusals, and the texts that were read. Of each format the first ones by name are taken, the
same number of each as far as there are so many. The words of PDFs are compared with pdftotext's, as in the part `extraction`. Prints
tables, and writes bench/results/<date>-documents.json. Without a folder there is nothing to do. It fails when a document is neither
answered nor refused with a reason.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from apps.knowledge.domain.formats import PDF
from apps.knowledge.domain.sections import Section
from bench.folder import choose, format_of, name_of, type_of, unpacked
from bench.harness import MODEL, declare_model, make_key, prepare
from bench.latency import until_serving
from bench.processes import Stack, simulator
from bench.report import machine, print_table, write_results
from bench.words import Compared, compare, list_short, summarise

_COLLECTION = _RECIPE = "bench"
_PARTS = ("web", "exec", "ingest", "control", "beat")
_AT_ONCE = 10
_CHARACTERS = 1_000_000
_LONGEST_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A document of the job, with the file that it came from."""

    path: Path
    id: str
    error: str
    compared: Compared | None = None


class Platform:
    """Its API, for one key."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        return await self._ask("GET", path, params=parameters)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        return await self._ask("POST", path, json=body)

    async def upload(self, paths: Sequence[Path]) -> None:
        """Several documents in one request."""
        with ExitStack() as files:
            form = aiohttp.FormData({"collection": _COLLECTION}, quote_fields=False)
            for path in paths:
                form.add_field("file", files.enter_context(files.enter_context(unpacked(path)).open("rb")), filename=name_of(path))
            await self._ask("POST", "documents", data=form)

    async def rows(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Every row, page by page."""
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = await self.get(path, limit=100, **cursor)
            for row in page["data"]:
                yield row
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None

    async def read(self, document_id: str) -> list[Section]:
        """What was read of a document."""
        text, places, offset = "", dict[int, dict[str, Any]](), 0
        while offset is not None:
            part = await self.get(f"documents/{document_id}/text", offset=offset, limit=_CHARACTERS)
            text += part["text"]
            places |= {section["start"]: section for section in part["sections"]}
            offset = part["next_offset"]
        return [Section(text[one["start"] : one["end"]], anchor=one["anchor"]) for one in places.values()]

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        async with self._session.request(method, f"{self._url}/api/{path}", **more) as answer:
            if answer.status >= 400:
                sys.exit(f"{method} {path} answered {answer.status}: {(await answer.text())[:500]}")
            found: dict[str, Any] = await answer.json()
            return found


async def measure(url: str, secret: str, paths: list[Path]) -> dict[str, Any]:
    """One job over these documents, from the first upload to what came of the last."""
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {secret}"}, timeout=aiohttp.ClientTimeout(total=_LONGEST_SECONDS)
    ) as session:
        await until_serving(session, url)
        platform = Platform(session, url)
        await platform.post("collections", name=_COLLECTION)
        await platform.post("recipes", name=_RECIPE, kind="summarise", declared={"model": MODEL})
        began = time.perf_counter()
        for first in range(0, len(paths), _AT_ONCE):
            await platform.upload(paths[first : first + _AT_ONCE])
        uploaded = time.perf_counter() - began
        job = await platform.post("jobs", recipe=_RECIPE, collection=_COLLECTION)
        while not job["ended_at"] and time.perf_counter() - began < _LONGEST_SECONDS:
            await asyncio.sleep(0.2)
            job = await platform.get(f"jobs/{job['id']}")
        seconds = time.perf_counter() - began
        ended = await _ended(platform, job, {name_of(path): path for path in paths})
        refused = [{"document": name_of(one.path), "because": one.error} for one in ended if one.error]
        return {
            "documents": len(ended), "answered": len(ended) - len(refused), "refused": refused, "job": job["status"],
            "requests": job["total"], "requests_failed": job["dead"], "cost_usd": job["cost_usd"],
            "upload_seconds": round(uploaded, 1), "seconds_from_first_upload_to_end": round(seconds, 1),
            "rows": list(_rows(ended)),
            "pdfs_below_98_percent": list_short((name_of(one.path), one.compared) for one in ended if one.compared is not None),
            "names": sorted(name_of(one.path) for one in ended),
        }  # fmt: skip


async def _ended(platform: Platform, job: dict[str, Any], paths: dict[str, Path]) -> list[Ended]:
    """What came of each; exits when of one nothing did."""
    ended = []
    async for row in platform.rows(f"jobs/{job['id']}/documents"):
        path, is_answered = paths[row["name"]], row["state"] == "answered"
        if not is_answered and not row["error_code"]:
            sys.exit(f"{row['name']} is {row['state']}; the job is {job['status']}")
        error = "" if is_answered else f"{row['error_code']}: {row['error_message']}"
        compared = None
        if is_answered and type_of(path) == PDF:
            sections = await platform.read(row["id"])
            with unpacked(path) as plain:
                compared = compare(plain, sections)
        ended.append(Ended(path, row["id"], error, compared))
    if len(ended) != len(paths):
        sys.exit(f"of {len(paths)} documents {len(ended)} are in the job")
    return ended


def _rows(ended: Sequence[Ended]) -> list[dict[str, Any]]:
    """By format, those that there are most of first."""
    return [
        {
            "format": name,
            "documents": documents,
            "MB": f"{sum(one.path.stat().st_size for one in own) / 1e6:.1f}",
            "answered": sum(not one.error for one in own),
            "refused": sum(bool(one.error) for one in own),
            **summarise([one.compared for one in own if one.compared is not None]),
        }
        for name, documents in Counter(format_of(one.path) for one in ended).most_common()
        for own in [[one for one in ended if format_of(one.path) == name]]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the documents are, at any depth")
    parser.add_argument("--most", type=int, default=1000, help="documents in all")
    parser.add_argument("--quick", action="store_true", help="at most 20 of them")
    arguments = parser.parse_args()
    if arguments.folder is None:
        print("documents: no --folder is given, nothing to read")
        return
    paths = choose(arguments.folder, min(20, arguments.most) if arguments.quick else arguments.most)
    prepare()
    with (
        tempfile.TemporaryDirectory(prefix="bench-documents-") as name,
        simulator(latency="fixed:200", folder=Path(name), script="varied") as (provider_url, _),
        Stack(Path(name)) as stack,
    ):
        secret = make_key(declare_model(provider_url)[0])
        stack.start(*_PARTS)
        found = asyncio.run(measure(stack.url, secret, paths))
    print_table(found["rows"])
    for rows in (found["refused"], found["pdfs_below_98_percent"]):
        if rows:
            print_table(rows)
    print(f"machine: {machine()}")
    print("; ".join(f"{what}: {value}" for what, value in found.items() if not isinstance(value, list)))
    write_results("documents", found, quick=arguments.quick)


if __name__ == "__main__":
    main()
