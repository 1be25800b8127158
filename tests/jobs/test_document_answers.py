"""What a job of documents came to: over the API as lines and as a table, corrected by people and programs."""

import csv
import io
import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import AuditEntry
from apps.jobs.actions.export_results import export_results
from apps.jobs.models import Correction, Job
from apps.knowledge.queries import read_plain_text
from tests.factories.accounts import make_client, make_workspace
from tests.factories.jobs import make_job
from tests.jobs.answered import asked_job, extracted_job

pytestmark = pytest.mark.django_db


def read(client: Client, job: Job, **query: str) -> tuple[int, str]:
    answer: Any = client.get(f"/api/jobs/{job.public_id}/results", query)
    return answer.status_code, (b"".join(answer) if answer.streaming else answer.content).decode()


def correct(client: Client, job: Job, position: int, **body: Any) -> tuple[int, Any]:
    answer = client.post(f"/api/jobs/{job.public_id}/documents/{position}/correction", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_a_line_for_each_document_with_what_it_cites() -> None:
    job = asked_job()
    status, text = read(make_client(), job)
    lines = {line["document"]["name"]: line for line in map(json.loads, text.splitlines())}
    assert (status, list(lines)) == (200, ["rules.txt", "prices.txt", "empty.txt"])
    rules = lines["rules.txt"]
    assert (rules["answer"], rules["state"], rules["error"], rules["original_answer"]) == (
        "Within fourteen days [1].",
        "answered",
        None,
        None,
    )
    (cited,) = rules["citations"]
    assert (cited["number"], cited["document"]["name"]) == (1, "rules.txt")
    document = job.documents.get(position=1)
    assert "within fourteen days" in read_plain_text(document.version_id)[cited["start"] : cited["end"]]
    assert rules["snapshot"].startswith("snap_")
    # Of what it was given it cites some.
    assert [passage["number"] for passage in rules["given"]] == [1]
    assert (lines["empty.txt"]["state"], lines["empty.txt"]["answer"]) == ("failed", None)
    assert lines["empty.txt"]["error"]["message"]


def test_a_table_has_a_column_for_each_field_and_none_twice() -> None:
    job = extracted_job()
    status, text = read(make_client(), job, format="csv")
    header, first, second, third = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert status == 200
    assert header == [
        "document",
        "version",
        "state",
        "price",
        "answer.state",
        "citations",
        "given",
        "cost_usd",
        "error",
        "corrected_by",
        "item",
    ]
    assert first[:5] == ["rules.txt", "1", "answered", "1234.5", "3 weeks"]
    assert (second[0], third[2:5]) == ("prices.txt", ["failed", "", ""])


def test_a_correction_counts_and_the_original_stays() -> None:
    job, client = asked_job(), make_client()
    assert correct(client, job, 1, answer="In 14 days [1].", note="Shorter.")[0] == 201
    status, made = correct(client, job, 1, answer="14 days [1].")
    assert (status, made["answer"]) == (201, "14 days [1].")
    line = json.loads(read(client, job, format="jsonl")[1].splitlines()[0])
    assert (line["answer"], line["original_answer"], line["corrected"]["by"]) == ("14 days [1].", "Within fourteen days [1].", "")
    assert [passage["number"] for passage in line["citations"]] == [1]
    assert Correction.objects.count() == 2
    assert list(AuditEntry.objects.filter(verb="corrected").order_by("id").values_list("reason", flat=True)) == ["Shorter.", ""]
    rows = list(csv.reader(io.StringIO(b"".join(export_results(job=job, form="csv").chunks).decode().removeprefix("\ufeff"))))
    assert (rows[1][3], rows[1][8]) == ("14 days [1].", "a program")


def test_a_correction_keeps_to_the_schema_and_to_documents_with_an_answer() -> None:
    job, client = extracted_job(), make_client()
    assert correct(client, job, 1, answer={"price": 7})[0] == 201
    for position, body, status in (
        (1, {"answer": {"state": "new"}}, 400),
        (1, {"answer": "seven"}, 400),
        (1, {"answer": 7}, 400),
        (1, {"answer": ""}, 400),
        (1, {}, 400),
        (3, {"answer": {"price": 7}}, 409),
        (4, {"answer": {"price": 7}}, 404),
        (10**30, {"answer": {"price": 7}}, 404),
    ):
        assert correct(client, job, position, **body)[0] == status, body
    assert Correction.objects.count() == 1
    assert correct(client, make_job(), 1, answer="x")[0] == 404
    assert correct(make_client(make_workspace("other")), job, 1, answer={"price": 7})[0] == 404


def test_one_answer_to_all_documents_is_told_once() -> None:
    job, client = asked_job(each="job"), make_client()
    correct(client, job, 2, answer="Never [1].")
    (line,) = map(json.loads, read(client, job)[1].splitlines())
    assert (line["answer"], line["original_answer"], line["state"]) == ("Never [1].", "Within fourteen days [1].", "answered")
    assert line["documents"] == {"open": 0, "answered": 2, "failed": 1}
    assert ([one["number"] for one in line["citations"]], [one["number"] for one in line["given"]]) == ([1], [1, 2])
    head, row = csv.reader(io.StringIO(read(client, job, format="csv")[1].removeprefix("\ufeff")))
    told = dict(zip(head, row, strict=True))
    assert head[:4] == ["documents", "failed_documents", "state", "answer"]
    assert (told["documents"], told["failed_documents"], told["answer"]) == ("3", "1", "Never [1].")
    assert (told["citations"], told["given"]) == ("[1] rules.txt, lines 1-3", "[1] rules.txt, lines 1-3; [2] prices.txt, lines 1-3")
    listed = client.get(f"/api/jobs/{job.public_id}/documents").json()["data"]
    assert [(one["state"], one["answer"]) for one in listed] == [("answered", None), ("answered", None), ("failed", None)]


def test_what_a_window_had_no_room_for_was_not_given() -> None:
    narrow = {"each": "job", "window_tokens": 1185, "parameters": {"max_tokens": 1000}}
    job = asked_job(say=lambda _: "Fourteen days [1], three weeks [2].", **narrow)
    (line,) = map(json.loads, read(make_client(), job)[1].splitlines())
    snapshot = make_client().get(f"/api/snapshots/{line['snapshot']}").json()
    assert len(snapshot["results"]) == 2
    assert [[one["number"] for one in line[name]] for name in ("given", "citations")] == [[1], [1]]


def test_what_can_be_asked_of_results() -> None:
    job, batch, client = asked_job(), make_job(), make_client()
    assert read(client, job, format="xml")[0] == 400
    assert read(client, job, limit="1")[0] == 400
    status, text = read(client, batch, format="csv")
    assert (status, text.removeprefix("\ufeff").splitlines()[0][:9]) == (200, "custom_id")
    assert read(client, batch, limit="1")[1].count("\n") == 1


def test_a_page_of_documents_takes_few_queries(django_assert_max_num_queries: Any) -> None:
    job = asked_job()
    with django_assert_max_num_queries(14):
        assert len(list(export_results(job=job, form="jsonl").chunks)) == 1
