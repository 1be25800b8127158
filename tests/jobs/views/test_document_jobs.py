"""Jobs of documents over the API: foreseen, submitted, and read document by document."""

from typing import Any

import pytest

from apps.jobs.actions import advance_job
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Item, Job
from apps.knowledge.models import Collection, Document
from apps.traces.models import Body
from tests.factories.accounts import make_client
from tests.factories.jobs import make_route
from tests.factories.knowledge import make_collection, make_read, upload
from tests.factories.recipes import SUMMARY, make_recipe
from tests.jobs.batches import clock
from tests.jobs.documents import bury, run_out
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db

WANTED = {"recipe": "summary", "collection": "handbook"}


@pytest.fixture
def collection() -> Collection:
    """Three documents that were read, and a recipe for them."""
    make_route("tiny")
    made = make_collection()
    make_recipe(made.workspace, plan=SUMMARY)
    make_read({"a.txt": "Apples.", "b.txt": "Bees.", "c.txt": "Cats. " * 500}, collection=made)
    return made


def post(body: dict[str, Any], query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    response = make_client().post(f"/api/jobs{query}", body, content_type="application/json", headers=headers)
    return response.status_code, response.json()


@pytest.mark.usefixtures("collection")
def test_a_job_is_submitted_and_its_documents_are_read_with_their_answers() -> None:
    status, told = post(WANTED | {"feature": "letters", "metadata": {"mine": "7"}, "max_cost_usd": "2.5", "lane": "bulk"})
    assert status == 201
    assert (told["kind"], told["status"], told["lane"], told["feature"], told["max_cost_usd"]) == (
        *("documents", "validating", "bulk", "letters"), "2.500000000000",
    )  # fmt: skip
    assert (told["recipe"][:7], told["collection_id"][:4]) == ("recipe_", "col_")
    job = Job.objects.get()
    advance_job(job_id=job.id, clock=clock)
    bury(job, "doc-2/map/1")
    run_out(job, lambda _: "Short.")
    pages = [make_client().get(f"/api/jobs/{told['id']}/documents?limit=2").json()]
    pages.append(make_client().get(f"/api/jobs/{told['id']}/documents?limit=2&cursor={pages[0]['next_cursor']}").json())
    rows = [row for page in pages for row in page["data"]]
    assert [(row["position"], row["name"], row["state"], row["step"], row["answer"]) for row in rows] == [
        (1, "a.txt", "answered", "", "Short."),
        (2, "b.txt", "failed", "map", None),
        (3, "c.txt", "answered", "", "Short."),
    ]
    assert rows[1]["error_message"] == "It failed."
    item = make_client().get(f"/api/items/{rows[0]['answer_item_id']}").json()
    assert item["custom_id"] == "doc-1/reduce"
    failed = make_client().get(f"/api/jobs/{told['id']}/documents?state=failed").json()
    assert [row["name"] for row in failed["data"]] == ["b.txt"]


def test_a_dry_run_tells_what_it_would_come_to_and_makes_nothing(collection: Collection) -> None:
    upload("Dogs.", collection=collection, name="d.txt")
    status, told = post(WANTED, "?dry_run=true")
    assert status == 200
    # Three documents were read: 1, 1 and some parts, each with a summary; the one that is yet to be read adds a third.
    parts = told["requests"] * 3 // 4 - 3
    assert 5 <= parts <= 9
    assert (told["recipe"], told["documents"], told["unread"], told["known"], told["is_whole"]) == ("summary@1", 4, 1, 0, False)
    assert float(told["estimate"]["cost_usd"]["likely"]) > 0
    assert told["estimate"]["tokens"]["input"] > 1000
    assert not Job.objects.exists()


def test_what_was_answered_is_not_counted_again(collection: Collection) -> None:
    post(WANTED)
    job = Job.objects.get()
    advance_job(job_id=job.id, clock=clock)
    run_out(job)
    _, told = post(WANTED, "?dry_run=true")
    assert (told["known"], told["requests"], told["estimate"]["cost_usd"]) == (3, 0, None)
    make_read({"b.txt": "Other bees."}, collection=collection)
    _, told = post(WANTED, "?dry_run=true")
    assert (told["known"], told["requests"]) == (2, 2)
    _, told = post(WANTED | {"reuse": False}, "?dry_run=true")
    assert told["known"] == 0


@pytest.mark.usefixtures("collection")
def test_what_is_kept_no_longer_is_counted_again() -> None:
    post(WANTED)
    job = Job.objects.get()
    advance_job(job_id=job.id, clock=clock)
    run_out(job)
    Body.objects.filter(id__in=Item.objects.filter(job=job).values("answer_body_id")).delete()
    _, told = post(WANTED, "?dry_run=true")
    assert (told["known"], told["requests"] > 3) == (0, True)


def test_one_answer_to_all_is_counted_where_the_documents_are_others_together(collection: Collection) -> None:
    steps = Step("say", Each.DOCUMENT, "{{ text }}", "tiny"), Step("sum", Each.JOB, "{{ say }}", "tiny", after=("say",))
    make_recipe(collection.workspace, name="together", plan=Plan(steps))
    wanted = WANTED | {"recipe": "together"}
    post(wanted)
    job = Job.objects.get()
    advance_job(job_id=job.id, clock=clock)
    run_out(job)
    _, told = post(wanted, "?dry_run=true")
    assert (told["known"], told["requests"]) == (3, 0)
    some = [one.public_id for one in Document.objects.filter(name__in=["a.txt", "b.txt"])]
    _, told = post(wanted | {"documents": some}, "?dry_run=true")
    assert (told["known"], told["requests"]) == (2, 1)
    assert float(told["estimate"]["cost_usd"]["likely"]) > 0
    make_read({"d.txt": "Dogs."}, collection=collection)
    _, told = post(wanted, "?dry_run=true")
    assert (told["known"], told["requests"]) == (3, 2)


def test_documents_are_chosen_by_id_or_by_metadata(collection: Collection) -> None:
    Document.objects.filter(collection=collection, name="b.txt").update(metadata={"kind": "letter"})
    first = Document.objects.get(collection=collection, name="a.txt")
    for chosen, name in (({"documents": [first.public_id]}, "a.txt"), ({"filter": {"kind": "letter"}}, "b.txt")):
        _, told = post(WANTED | chosen)
        data = make_client().get(f"/api/jobs/{told['id']}/documents").json()["data"]
        assert [row["name"] for row in data] == [name]


@pytest.mark.usefixtures("collection")
def test_the_same_key_makes_one_job() -> None:
    headers = {"Idempotency-Key": "once"}
    assert post(WANTED, **headers) == post(WANTED, **headers)
    assert Job.objects.count() == 1


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no recipe": ({"recipe": "none"}, 404, "not_found"),
    "no collection": ({"collection": "none"}, 404, "not_found"),
    "no such document": ({"documents": ["doc_" + "0" * 32]}, 400, "document_not_found"),
    "no id of a document": ({"documents": ["a.txt"]}, 400, "document_not_found"),
    "none with this metadata": ({"filter": {"kind": "letter"}}, 400, "no_documents"),
    "both": ({"filter": {"kind": "letter"}, "documents": ["doc_" + "0" * 32]}, 400, "invalid_request"),
    "nothing to spend": ({"max_cost_usd": "0"}, 400, "invalid_request"),
    "too many hints": ({"metadata": {str(n): "" for n in range(17)}}, 400, "invalid_request"),
}


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(case: str) -> None:
    wrong, status, code = REFUSED[case]
    told = post(WANTED | wrong)
    assert (told[0], told[1].get("code")) == (status, code), told


@pytest.mark.usefixtures("collection")
def test_jobs_of_documents_are_no_batches_to_openai_s_api_and_are_cancelled_in_the_native_one() -> None:
    _, told = post(WANTED)
    client = make_client()
    assert client.get(f"/v1/batches/{told['id']}").status_code == 404
    assert client.post(f"/v1/batches/{told['id']}/cancel").status_code == 404
    assert client.post(f"/api/jobs/{told['id']}/cancel").json()["status"] == "cancelling"
    assert make_workspace().jobs.count() == 1
