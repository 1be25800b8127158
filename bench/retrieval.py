"""How fast and how well a collection of 100,000 chunks is searched, and whether two rankings find more than one.

    python -m bench retrieval [--quick] [--chunks 100000] [--questions 1000]

The chunks are definitions in the source of the packages in requirements.lock and of Python's library: a module is a document. The
questions are the first lines of their docstrings, which are taken out of the chunks: what is sought is the definition that the line was
written for.
Prints tables, and writes bench/results/<date>-retrieval.json.
"""

import argparse
import ast
import random
import statistics
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from apps.accounts.actions import ensure_workspace
from apps.knowledge.actions import create_collection, search_collection
from apps.knowledge.actions.hold_version import hold_version
from apps.knowledge.actions.publish_reading import Reading, publish_reading
from apps.knowledge.actions.rank_chunks import Scope, rank_by_vector
from apps.knowledge.actions.store_chunks import store_chunks
from apps.knowledge.adapters.local_embedder import embed_texts
from apps.knowledge.domain.chunks import Piece
from apps.knowledge.domain.reading import pack_sections
from apps.knowledge.domain.request import Mode, SearchRequest
from apps.knowledge.models import Chunk, Collection, Document, DocumentVersion
from apps.lib.sql import server_cursor
from bench.harness import prepare
from bench.report import print_table, write_results

TARGET_MS, TARGET_RECALL = 50, 0.95
_CHARACTERS = 1200
_LEAST_WORDS, _LEAST_REST = 5, 200
_GRAPH = "knowledge_chunk_graph_256"


@dataclass(frozen=True, slots=True)
class Definition:
    """A chunk; `question` is empty where nothing was said of it that could be asked."""

    text: str
    heading: str
    question: str


def modules() -> Iterator[tuple[str, list[Definition]]]:
    """Module by module, in an order that does not change; no text twice."""
    known: set[str] = set()
    library, packages = Path(sysconfig.get_paths()["stdlib"]), Path(sysconfig.get_paths()["purelib"])
    for root in (packages, library):
        for path in sorted(root.rglob("*.py")):
            if root is library and "site-packages" in path.parts:
                continue
            found = [one for one in _definitions(path) if one.text not in known]
            known.update(one.text for one in found)
            if found:
                yield str(path.relative_to(root)), found


def _definitions(path: Path) -> list[Definition]:
    try:
        source = path.read_text()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        return []
    lines = source.splitlines()
    return [
        _definition(node, lines)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and "\0" not in source
    ]


def _definition(node: Any, lines: list[str]) -> Definition:
    said = ast.get_docstring(node) or ""
    summary, _, rest = said.partition("\n\n")
    summary = " ".join(summary.split())
    code = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    if len(summary.split()) >= _LEAST_WORDS and len(rest) >= _LEAST_REST:
        head = lines[node.lineno - 1].strip()
        return Definition(f"{head}\n{rest}"[:_CHARACTERS], node.name, summary)
    return Definition(code[:_CHARACTERS], node.name, "")


def load(collection: Collection, most: int) -> tuple[list[tuple[str, str]], float]:
    """(question, text of what is sought) pairs, and seconds. By the product's own way, the graph's index apart, which is built after."""
    began, stored, pairs = time.monotonic(), 0, []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT indexdef FROM pg_indexes WHERE indexname = '{_GRAPH}'")
        definition = cursor.fetchall()[0][0]
        cursor.execute(f"DROP INDEX {_GRAPH}")
    for name, definitions in modules():
        found = definitions[: most - stored]
        if not found:
            break
        publish(collection, name, found)
        stored += len(found)
        pairs += [(one.question, one.text) for one in found if one.question]
    seconds = time.monotonic() - began
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute(definition)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE knowledge_chunk")
        cursor.execute("VACUUM ANALYZE knowledge_documentversion")
    collection.refresh_from_db()
    return pairs, seconds


def publish(collection: Collection, name: str, found: list[Definition]) -> None:
    document = Document.objects.create(collection=collection, name=name[-255:], metadata={"package": name.partition("/")[0]})
    version = DocumentVersion.objects.create(document=document, number=1, sha256=f"{document.id.hex}" * 2, size_bytes=1)
    version.document.collection = collection
    pieces = [Piece(place, one.text, "", one.heading[:200], place, place + 1) for place, one in enumerate(found)]
    with hold_version(version.id) as claim:
        assert claim is not None
        store_chunks(claim, version, pieces)
        told = {"media_type": "text/plain", "title": "", "language": "", "pages": 1, "characters": len(pieces)}
        publish_reading(claim, Reading(**told, chunk_count=len(pieces), content=pack_sections([])))


def measure(collection: Collection, requests: list[SearchRequest]) -> dict[str, Any]:
    """Milliseconds of searches, one after the other, the freezing of their results included."""
    for request in requests[:20]:
        search_collection(collection_id=collection.id, request=request)
    taken = []
    for request in requests:
        began = time.perf_counter()
        search_collection(collection_id=collection.id, request=request)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    at = lambda share: round(taken[min(len(taken) - 1, int(len(taken) * share))], 1)  # noqa: E731 -- short
    return {"searches": len(taken), "p50_ms": at(0.5), "p95_ms": at(0.95), "max_ms": at(1)}


def recall(collection: Collection, questions: list[str], document_ids: list[UUID] | None = None) -> float:
    """Which share of the ten nearest by comparing all is among the first ten through the graph."""
    shares = []
    for question in questions:
        with transaction.atomic(), server_cursor() as cursor:
            told = {"collection": collection, "revision": collection.revision, "document_ids": document_ids}
            (vector,) = embed_texts([question])
            through = rank_by_vector(cursor, Scope(**told, searched=10**9), vector, limit=50)[:10]
            compared = rank_by_vector(cursor, Scope(**told, searched=1), vector, limit=10)
        if compared:
            shares.append(len(set(through) & set(compared)) / len(compared))
    return round(statistics.mean(shares), 4)


def quality(collection: Collection, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """For each way: how often what is sought comes first, is among the first ten, and the mean of 1 / its place."""
    rows = []
    for mode in (Mode.VECTOR, Mode.TEXT, Mode.HYBRID):
        places: list[int | None] = []
        for question, text in pairs:
            snapshot = search_collection(collection_id=collection.id, request=SearchRequest(query=question[:2000], mode=mode))
            texts = dict(Chunk.objects.filter(id__in=[one["chunk"] for one in snapshot.results]).values_list("id", "text"))
            found = [texts[UUID(one["chunk"])] for one in snapshot.results]
            places.append(found.index(text) + 1 if text in found else None)
        hits = [place for place in places if place]
        rows.append(
            {
                "way": str(mode),
                "first": round(sum(place == 1 for place in hits) / len(places), 3),
                "among ten": round(len(hits) / len(places), 3),
                "MRR@10": round(sum(1 / place for place in hits) / len(places), 3),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=1000)
    arguments = parser.parse_args()
    prepare()
    number = arguments.chunks // 10 if arguments.quick else arguments.chunks
    workspace = ensure_workspace(name="bench")
    collection = create_collection(workspace_id=workspace.id, name="bench", language="english", now=timezone.now())
    began = time.monotonic()
    pairs, loaded = load(collection, number)
    whole = time.monotonic() - began
    print(
        f"{collection.chunk_count:,} chunks of {collection.documents.count():,} documents in {loaded:.0f} s, with the index {whole:.0f} s"
    )
    chosen = random.Random(8).sample(pairs, min(arguments.questions, len(pairs)))
    questions = [question[:2000] for question, _ in chosen]
    packages = [("all documents", {})]
    common = Counter(Document.objects.values_list("metadata__package", flat=True)).most_common()
    # One that has many documents, one that has some, and one that has few.
    names = [common[0][0], common[len(common) // 8][0], common[len(common) // 2][0]]
    packages += [(f"package {name}", {"metadata": {"package": name}}) for name in names]
    rows = Chunk.objects.values_list("document__metadata__package").annotate(number=Count("id"))
    sizes = {name: number for name, number in rows if name in names}
    print(", ".join(f"{name} has {number:,} chunks" for name, number in sizes.items()))
    speed = []
    for mode in (Mode.HYBRID, Mode.VECTOR, Mode.TEXT):
        for name, narrowed in packages if mode == Mode.HYBRID else packages[:1]:
            requests = [SearchRequest(query=question, mode=mode, **narrowed) for question in questions[:300]]
            speed.append({"way": str(mode), "among": name} | measure(collection, requests))
    print_table(speed)
    ids = list(Document.objects.filter(metadata__package=names[0]).values_list("id", flat=True))
    recalls = [
        {"among": "all documents", "recall@10": recall(collection, questions[:200])},
        {"among": packages[1][0], "recall@10": recall(collection, questions[:100], ids)},
    ]
    print_table(recalls)
    found = quality(collection, chosen)
    print_table(found)
    results = {
        "chunks": collection.chunk_count,
        "chunks_of_packages": sizes,
        "documents": collection.documents.count(),
        "load_seconds": round(loaded, 1),
    }
    write_results(
        "retrieval", results | {"speed": speed, "recall": recalls, "quality": found, "questions": len(chosen)}, quick=arguments.quick
    )


if __name__ == "__main__":
    main()
