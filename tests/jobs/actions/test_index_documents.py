"""Vectors by a provider: whole pumps against the simulated provider, and what the rows say afterwards."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connections
from django.utils import timezone

from apps.accounts.models import Role
from apps.jobs.actions import finish_job, index_documents, requeue_dead, run_items
from apps.jobs.domain.dead_items import Change, Selection
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.text_groups import group_texts
from apps.jobs.models import Item, Job
from apps.knowledge.actions import extract_document, list_wanted
from apps.knowledge.domain.embedders import VectorRefusedError, read_vectors
from apps.knowledge.models import Chunk, Collection, DocumentVersion
from apps.lib import failpoints, shutdown
from apps.lib.advisory_lock import advisory_lock
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_client, make_office_client, make_user
from tests.factories.knowledge import make_collection, make_document, upload
from tests.jobs.rows import make_workspace
from tests.locks import wait_until_one_waits
from tests.simulated import Simulator

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = "\n\n".join(f"# Rule {n}\n\n" + f"Rule number {n} tells what is paid back for a return. " * 12 for n in range(70))


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.JOBS_IDLE_SECONDS = 0.4


@pytest.fixture
def collection(simulator: Simulator) -> Collection:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="embed")
    Target.objects.create(model=model, provider=provider, upstream_model="embed-upstream")
    Price.objects.create(
        provider_id=provider.id,
        upstream_model="embed-upstream",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(0),
    )
    return make_collection(make_workspace(), embedder="embed", dimensions=256)


def index() -> dict[str, int]:
    return index_documents(now=timezone.now())


def run() -> None:
    run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))


@contextmanager
def standing_pump() -> Iterator[None]:
    """One that takes urgent calls, as a worker has one always."""

    def stand() -> None:
        try:
            run_items(lane="interactive", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))
        finally:
            connections.close_all()

    pump = threading.Thread(target=stand)
    pump.start()
    try:
        yield
    finally:
        shutdown.ask_to_stop()
        pump.join()
        shutdown._flag[0] = 0


def test_a_document_is_found_once_its_vectors_were_made_in_groups_and_paid_for_once(collection: Collection, simulator: Simulator) -> None:
    version = make_document(PAGES, collection=collection, name="rules.md")
    assert (version.standing, version.from_revision) == ("embedding", None)
    chunks = Chunk.objects.filter(version=version).count()
    assert chunks > 64
    assert index() == {"stored": 0, "asked": 2}
    # Twice at once, or again: whoever is asked for is not asked for anew.
    assert index()["asked"] == 0
    run()
    job = Job.objects.get()
    assert (job.kind, job.total, job.done, job.feature, job.input_tokens) == ("index", 2, 2, "documents", 20 * chunks)
    assert index()["stored"] == 2
    version.refresh_from_db()
    assert (version.standing, version.from_revision, version.chunk_count) == ("ready", 1, chunks)
    assert not Chunk.objects.filter(embedding=None).exists()
    assert sum(Charge.objects.values_list("cost_usd", flat=True)) == Decimal(20 * chunks) / 1_000_000
    finish_job(job_id=job.id, clock=timezone.now)
    job.refresh_from_db()
    assert (job.status, job.output_file_id) == (JobStatus.COMPLETED, None)
    assert [finding for finding in check_invariants(since=job.created_at, at_rest=True) if finding.broken] == []
    # What was changed alone is asked for: one chunk of the new version.
    changed = make_document(PAGES.replace("Rule number 7 ", "Rule number seven "), collection=collection, name="rules.md")
    assert index()["asked"] == 1
    run()
    index()
    changed.refresh_from_db()
    version.refresh_from_db()
    assert (changed.standing, version.to_revision, simulator.calls()["total"]) == ("ready", 2, 3)
    assert Job.objects.get(id__gt=job.id).input_tokens == 20
    # The same in another collection of the workspace costs nothing, and nobody is asked.
    other = make_collection(make_workspace(), name="copy", embedder="embed", dimensions=256)
    copy = make_document(PAGES, collection=other, name="rules.md")
    assert index()["asked"] == 0
    copy.refresh_from_db()
    assert (copy.standing, simulator.calls()["total"]) == ("ready", 3)


@pytest.mark.parametrize("point", [point for point in failpoints.POINTS if point.startswith("index.")])
def test_broken_off_at_any_point_nothing_is_asked_for_twice(
    point: str, collection: Collection, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = make_document("Money is paid back.", collection=collection, name="a.txt")
    monkeypatch.setattr(failpoints, "_FOLDER", str(tmp_path))
    (tmp_path / point).write_text("raise")
    broken = 0
    for _ in range(3):
        try:
            index()
        except failpoints.FailpointError:
            broken += 1
        run()
    version.refresh_from_db()
    assert (broken, version.standing, version.from_revision) == (1, "ready", 1)
    assert (Job.objects.count(), simulator.calls()["total"], Charge.objects.count()) == (1, 1, 1)


def test_two_that_say_the_same_wait_for_one_item(collection: Collection, simulator: Simulator) -> None:
    first = make_document("Money is paid back.", collection=collection, name="a.txt")
    assert index()["asked"] == 1
    other = make_collection(make_workspace(), name="other", embedder="embed", dimensions=256)
    second = make_document("Money is paid back.", collection=other, name="b.txt")
    assert index()["asked"] == 0
    run()
    index()
    assert [DocumentVersion.objects.get(id=one.id).standing for one in (first, second)] == ["ready", "ready"]
    assert simulator.calls()["total"] == 1


def test_what_could_not_be_embedded_says_why_and_is_requeued_or_uploaded_again(collection: Collection) -> None:
    version = make_document("[[sim status=400 times=1]] Money is paid back.", collection=collection, name="a.txt")
    index()
    run()
    index()
    version.refresh_from_db()
    item = Item.objects.get()
    assert (version.standing, version.refusal_code) == ("embedding", "not_embedded")
    assert f"Requeue {item.public_id}" in version.refusal_message
    at_once = Change(per_minute=1_000_000)
    requeue_dead(Selection(item_ids=(item.id,)), at_once, workspace_ids=[item.workspace_id], is_dry_run=False, now=timezone.now())
    run()
    index()
    version.refresh_from_db()
    assert (version.standing, version.refusal_code, version.from_revision) == ("ready", "", 1)


def test_what_failed_is_run_again_for_texts_that_are_still_missing_alone(collection: Collection, simulator: Simulator) -> None:
    texts = {"a.txt": "Money is paid back.", "b.txt": "Parcels are sent by ship."}
    for name, text in texts.items():
        make_document(text, collection=collection, name=name)
    index()
    simulator.script(script="status=400")
    try:
        run()
    finally:
        simulator.script(script="")
    index()
    (dead,) = Item.objects.all()
    assert (dead.state, dead.job.dead) == ("dead", 1)
    # Of the two texts that it asked for, one is asked for anew.
    again = make_document(texts["a.txt"], collection=collection, name="a.txt")
    assert index()["asked"] == 1
    answer = make_client("acme").post(f"/api/jobs/{dead.job.public_id}/rerun", {}, "application/json")
    assert (answer.status_code, answer.json()["dead"]) == (200, 0)
    dead.refresh_from_db()
    (request,) = read_bodies([bytes(dead.request_body_id)]).values()
    assert orjson.loads(request)["input"] == [texts["b.txt"]]
    assert not DocumentVersion.objects.exclude(refusal_code="").exists()
    run()
    index()
    assert set(DocumentVersion.objects.values_list("status", flat=True)) == {"ready"}
    assert (again.number, Charge.objects.count(), sum(Charge.objects.values_list("input_tokens", flat=True))) == (2, 2, 40)
    assert simulator.calls()["total"] == 3


def test_what_no_document_waits_for_is_not_run_again_nor_another_model_asked(collection: Collection) -> None:
    make_document("[[sim status=400 times=1]] Money is paid back.", collection=collection, name="a.txt")
    index()
    run()
    index()
    item, client = Item.objects.get(), make_client("acme")

    def post(path: str, **values: Any) -> Any:
        return client.post(path, values, "application/json")

    for name, value in {"model": "embed", "max_tokens": 9}.items():
        refused = post("/api/dead-items/requeue", item_ids=[item.public_id], **{name: value})
        assert (refused.status_code, refused.json()["param"]) == (400, name)
    make_document("[[sim status=400 times=1]] Money is paid back.", collection=collection, name="a.txt")
    index()
    looked = post("/api/dead-items/requeue", item_ids=[item.public_id], dry_run=True).json()
    done = post("/api/dead-items/requeue", item_ids=[item.public_id]).json()
    assert [(one["items"], one["impossible"]) for one in (looked, done)] == [(0, 1), (0, 1)]
    refused = post(f"/api/jobs/{item.job.public_id}/rerun")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_failed")
    assert "No document waits" in refused.json()["detail"]


def test_requeued_and_uploaded_again_at_one_moment_a_text_is_asked_for_once(collection: Collection) -> None:
    text = "[[sim status=400 times=1]] Money is paid back."
    make_document(text, collection=collection, name="a.txt")
    index()
    run()
    index()
    dead = Item.objects.get()
    make_document(text, collection=collection, name="a.txt")

    def requeue() -> int:
        try:
            chosen = Selection(item_ids=(dead.id,))
            return requeue_dead(chosen, Change(), workspace_ids=None, is_dry_run=False, now=timezone.now()).items
        finally:
            connections.close_all()

    (wanted,) = list_wanted()
    with ThreadPoolExecutor(1) as thread:
        # Whoever asks holds this until what was asked for is seen by all.
        with advisory_lock(wanted.key):
            requeued = thread.submit(requeue)
            wait_until_one_waits(unless=requeued.done)
            assert index()["asked"] == 1
        assert requeued.result() == 0
    assert Item.objects.filter(state="waiting").count() == 1


def test_a_model_that_is_gone_is_told_of_and_asked_once_it_is_back(collection: Collection) -> None:
    Model.objects.update(is_enabled=False)
    version = make_document("Money is paid back.", collection=collection, name="a.txt")
    assert index()["asked"] == 0
    version.refresh_from_db()
    assert "no model 'embed'" in version.refusal_message
    # Uploading it again is taken as a try.
    assert upload("Money is paid back.", collection=collection, name="a.txt").is_new
    Model.objects.update(is_enabled=True)
    assert index()["asked"] == 1
    run()
    index()
    version.refresh_from_db()
    assert (version.standing, version.refusal_code) == ("ready", "")


def test_a_search_asks_for_the_questions_vector_once_a_day_and_whoever_asks_pays(collection: Collection, simulator: Simulator) -> None:
    make_document("Money is paid back within fourteen days.", collection=collection, name="refunds.txt")
    make_document("Parcels are sent by ship, and take long.", collection=collection, name="parcels.txt")
    index()
    run()
    index()
    client = make_client("acme")
    before = simulator.calls()["total"]
    with standing_pump():
        answers = [
            client.post(f"/api/collections/{collection.name}/search", {"query": "when is money paid back?"}, "application/json")
            for _ in range(2)
        ]
        page = make_office_client(make_user("mia", acme=Role.MEMBER)).get(f"/admin/jobs/job/search/{collection.pk}/?query=ship")
    assert [answer.status_code for answer in answers] == [200, 200]
    found = answers[0].json()
    assert (found["results"][0]["document_name"], found["results"][0]["vector_rank"]) == ("refunds.txt", 1)
    assert answers[1].json()["id"] == found["id"]
    assert "Parcels are sent" in page.content.decode()
    assert simulator.calls()["total"] == before + 2
    singles = Item.objects.filter(job__kind="single").order_by("id")
    assert [(item.feature, item.answered_by, item.cost_usd > 0) for item in singles] == [
        ("documents", "", True),
        ("documents", "cache", False),
        ("documents", "", True),
    ]
    assert Job.objects.filter(kind="single", api_key=None).count() == 1
    # By words nobody is asked; a viewer may do that.
    viewer = make_office_client(make_user("vic", acme=Role.VIEWER))
    assert "Parcels are sent" in viewer.get(f"/admin/jobs/job/search/{collection.pk}/?query=ship&mode=text").content.decode()
    outsider = make_office_client(make_user("otto", other=Role.OWNER))
    assert outsider.get(f"/admin/jobs/job/search/{collection.pk}/?query=ship&mode=text").status_code == 404
    assert "costs money" in viewer.get(f"/admin/jobs/job/search/{collection.pk}/?query=ship").content.decode()


@pytest.mark.parametrize(
    "answer", [{}, {"data": [{"index": 0, "embedding": [1.0]}]}, {"data": [{"index": 0, "embedding": [0.0] * 256}]}, []]
)
def test_an_answer_that_is_no_vector_is_refused(answer: Any) -> None:
    with pytest.raises(VectorRefusedError):
        read_vectors(answer, count=1, dimensions=256)


def test_longer_vectors_are_cut_and_texts_are_grouped_by_number_and_size() -> None:
    assert read_vectors({"data": [{"index": 0, "embedding": [3, 4, 9]}]}, count=1, dimensions=2) == [[0.6, 0.8]]
    texts = [(UUID(int=n), "x" * size) for n, size in enumerate([20_000, 10_000, 1, 40_000, *[1] * 70])]
    assert [len(group) for group in group_texts(texts, count=len)] == [2, 1, 1, 64, 6]


def test_a_collection_names_a_model_that_there_is_and_a_length(collection: Collection) -> None:
    client = make_client("acme")
    asked = {"name": "new", "embedder": "embed"}
    refused = client.post("/api/collections", asked, "application/json")
    assert (refused.status_code, refused.json()["errors"][0]["param"] if "errors" in refused.json() else refused.json()["param"]) == (
        400,
        "dimensions",
    )
    assert client.post("/api/collections", asked | {"embedder": "nobody", "dimensions": 256}, "application/json").status_code == 400
    made = client.post("/api/collections", asked | {"dimensions": 1536}, "application/json").json()
    assert (made["embedder"], made["dimensions"]) == ("embed", 1536)
    assert extract_document(version_id=upload("Money.", collection=Collection.objects.get(name="new")).version.id) == "embedding"
