"""What a job of documents costs beside its calls, and what is asked again when some of the documents are edited, or a step is changed.

    python -m bench recipes [--quick] [--documents 5000] [--edited 30]

A recipe of four steps (two parts of each document, their summary, a label, why it fits) is run by one worker with the simulator, whose
answers follow what it is asked; advancing is done here, and timed. Then one part of some documents is edited and it is submitted again;
then once more; then with another last step. That no more and no less is asked than that is checked.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from apps.jobs.actions import advance_job, finish_job, submit_documents
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Job, JobDocument, Recipe
from apps.knowledge.actions import create_collection
from apps.knowledge.domain.reading import pack_sections
from apps.knowledge.domain.sections import Section
from apps.knowledge.models import Collection, Document, DocumentVersion
from apps.lib.tokenizer import load_tokenizer
from bench.harness import MODEL, declare_model, forget_work, prepare
from bench.processes import exec_worker, simulator
from bench.report import print_table, write_results

_STEPS = (
    Step("map", Each.PART, "Condense a part of {{ document }}:\n{{ text }}", MODEL, part_tokens=120),
    Step("reduce", Each.DOCUMENT, "Put together what {{ document }} says:\n{{ map }}", MODEL, after=("map",), group=10),
    Step("label", Each.DOCUMENT, "Which label fits {{ document }}?\n{{ reduce }}", MODEL, after=("reduce",)),
    Step("reason", Each.DOCUMENT, "Why does the label {{ label }} fit {{ document }}?", MODEL, after=("label",)),
)
_SENTENCE = "What was agreed between the parties is kept for ten years and is paid back within a month. "
_LONGEST_SECONDS = 1800.0


def now() -> datetime:
    return datetime.now(UTC)


def write_documents(collection: Collection, names: list[str], word: str) -> None:
    """Versions as they stand once they are read: two sections, of which the first one says `word`."""
    known = {one.name: one for one in Document.objects.filter(collection=collection, name__in=names)}
    fresh = [Document(collection=collection, name=name) for name in names if name not in known]
    known |= {one.name: one for one in Document.objects.bulk_create(fresh)}
    versions = []
    for name in names:
        texts = [f"{name} says {word}. {_SENTENCE * 5}", f"The end of {name}. {_SENTENCE * 5}"]
        content = "\n\n".join(texts)
        versions.append(
            DocumentVersion(
                document=known[name], number=(known[name].current_number or 0) + 1, sha256=hashlib.sha256(content.encode()).hexdigest(),
                size_bytes=len(content), status="ready", characters=len(content), pages=1, from_revision=1,
                content=pack_sections([Section(text) for text in texts]),
            )
        )  # fmt: skip
        known[name].current_number = versions[-1].number
    DocumentVersion.objects.bulk_create(versions)
    Document.objects.bulk_update(known.values(), ["current_number"])


def run(name: str, plan: Plan, collection: Collection, number: int) -> dict[str, Any]:
    """One job to its end."""
    recipe = Recipe.objects.create(
        workspace=collection.workspace, name="bench", number=number, kind="steps", declared="{}", plan=plan.as_text()
    )
    began = time.perf_counter()
    job = submit_documents(workspace_id=collection.workspace_id, recipe_id=recipe.id, collection_id=collection.id, now=now())
    submitted = time.perf_counter() - began
    looking = _carry(job.id)
    seconds = time.perf_counter() - began
    job.refresh_from_db()
    answered = JobDocument.objects.filter(job=job, state="answered").count()
    return {
        "run": name, "documents": answered, "items": job.total, "asked": job.total - job.reused, "reused": job.reused,
        "cost_usd": str(job.cost_usd.normalize()), "seconds": round(seconds, 1), "submit_ms": round(submitted * 1000),
        "advance_s": round(looking, 2), "advance_ms_per_item": round(looking / job.total * 1000, 3),
    }  # fmt: skip


def _carry(job_id: UUID) -> float:
    """As rings and sweeps do it; returns the seconds that took."""
    looking, deadline = 0.0, time.perf_counter() + _LONGEST_SECONDS
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        (advance_job if _is_open(job_id) else finish_job)(job_id=job_id, clock=now)
        looking += time.perf_counter() - began
        if Job.objects.filter(id=job_id, ended_at__isnull=False).exists():
            return looking
        until = time.perf_counter() + 5
        while _is_open(job_id) and time.perf_counter() < until:
            time.sleep(0.05)
    sys.exit("the job did not end")


def _is_open(job_id: UUID) -> bool:
    job = Job.objects.get(id=job_id)
    return job.status == "validating" or job.done + job.dead < job.total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--edited", type=int, default=30)
    arguments = parser.parse_args()
    documents = arguments.documents // 10 if arguments.quick else arguments.documents
    load_tokenizer()
    prepare()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        simulator(latency="fixed:20", folder=Path(name), script="varied") as (base_url, _),
    ):
        forget_work()
        workspace, _ = declare_model(base_url)
        collection = create_collection(workspace_id=workspace.id, name="bench", now=now())
        names = [f"contract-{n:05}.txt" for n in range(documents)]
        write_documents(collection, names, "nothing")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        with exec_worker(folder=Path(name)):
            rows = [run("first", Plan(_STEPS), collection, 1)]
            write_documents(collection, names[:: max(1, documents // arguments.edited)][: arguments.edited], "something")
            rows.append(run(f"{arguments.edited} edited", Plan(_STEPS), collection, 2))
            rows.append(run("unchanged", Plan(_STEPS), collection, 3))
            changed = replace(_STEPS[-1], user="In one word, why does the label {{ label }} fit {{ document }}?")
            rows.append(run("last step changed", Plan((*_STEPS[:-1], changed)), collection, 4))
    print_table(rows)
    # Of each document two parts and three steps; of an edited one a part, and what comes after it.
    expected = [5 * documents, 4 * arguments.edited, 0, documents]
    if [row["asked"] for row in rows] != expected:
        sys.exit(f"asked should have been {expected}")
    write_results("recipes", {"documents": documents, "edited": arguments.edited, "rows": rows}, quick=arguments.quick)
