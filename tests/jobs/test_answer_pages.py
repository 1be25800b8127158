"""A job of documents in the back office: its documents, and each answer beside the text that it rests on, where members correct it."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.jobs.models import Correction, Job
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_job
from tests.jobs.answered import asked_job, extracted_job

pytestmark = pytest.mark.django_db


def sign_in(**roles: Role) -> Client:
    return make_office_client(make_user("somebody", **roles))


def address(job: Job, position: int = 1) -> str:
    return f"{reverse('admin:jobs_job_answer', args=[job.pk])}?document={position}"


def test_the_page_of_a_job_tells_of_its_steps_and_documents() -> None:
    job = asked_job()
    office = sign_in(acme=Role.VIEWER)
    page = office.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert re.search(r"answer</th><td>document</td>", page)
    assert "Within fourteen days [1]." in page
    assert "2 answered" in page
    part = office.get(reverse("admin:jobs_job_documents", args=[job.pk]), {"state": "failed"})
    assert part.status_code == 286
    assert "empty.txt" in part.content.decode()
    assert "rules.txt" not in part.content.decode()


def test_a_citation_leads_to_its_passage_in_the_text() -> None:
    job = asked_job(say=lambda _: "Within fourteen days [1], not ten [7].")
    page = sign_in(acme=Role.VIEWER).get(address(job)).content.decode()
    assert '<a class="cite" href="#passage-1"' in page
    assert "#passage-7" not in page
    marked = re.search(r'<span class="at" id="passage-1"[^>]*>\[1\]</span><mark class="cited">(.*?)</mark>', page, re.DOTALL)
    assert marked
    assert "within fourteen days of the return" in marked[1]
    assert "Correct it" not in page


def test_one_answer_to_all_documents_stands_once_beside_its_passages() -> None:
    job = asked_job(each="job", say=lambda _: "Within fourteen days [1].")
    office, answer_page = sign_in(acme=Role.VIEWER), reverse("admin:jobs_job_answer", args=[job.pk])
    of_job = office.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert of_job.count("Within fourteen days") == 1
    assert f'<a class="cite" href="{answer_page}#passage-1"' in of_job
    page = office.get(answer_page).content.decode()
    assert re.findall(r'<blockquote class="passage( cited)?" id="passage-(\d)"', page) == [(" cited", "1"), ("", "2")]
    assert "It cites 1 of the 2 passages that the model was given." in page
    assert "given, not cited" in page
    # A document's own text has what of it was given.
    beside = office.get(address(job)).content.decode()
    assert '<mark class="cited">' in beside
    assert 'id="passage-2"' in beside
    member = make_office_client(make_user("member", acme=Role.MEMBER))
    assert member.post(answer_page, {"answer": "Never."}).status_code == 302
    assert "Never." in office.get(answer_page).content.decode()


def test_an_answer_without_citations_says_that_nothing_shows_what_it_rests_on() -> None:
    job = asked_job(say=lambda _: "Soon, as [7] says.")
    page = sign_in(acme=Role.VIEWER).get(address(job)).content.decode()
    assert "It cites not even the one passage that the model was given: nothing shows what it rests on." in page
    assert '<mark class="found">' in page


def test_values_lead_to_where_they_stand_in_the_text() -> None:
    job = extracted_job()
    page = sign_in(acme=Role.VIEWER).get(address(job, 2)).content.decode()
    assert '<a class="link" href="#value-price">1234.5</a>' in page
    assert '<mark class="value">1,234.50</mark>' in page
    assert page.count('id="value-price"') == 1


def test_members_correct_and_viewers_look() -> None:
    job = extracted_job()
    viewer = sign_in(acme=Role.VIEWER)
    viewer.post(address(job), {"answer": '{"price": 7}'})
    assert not Correction.objects.exists()
    member = make_office_client(make_user("member", acme=Role.MEMBER))
    refused = member.post(address(job), {"answer": "seven"})
    assert refused.status_code == 200
    assert "doesn&#x27;t fit the recipe&#x27;s schema" in refused.content.decode()
    assert member.post(address(job), {"answer": '{"price": 7}', "note": "A misprint."}).status_code == 302
    page = viewer.get(address(job)).content.decode()
    assert "Corrected by member" in page
    assert "A misprint." in page
    assert re.search(r'id="original">.*1234\.5', page)


def test_what_is_not_there_or_not_theirs_is_not_found() -> None:
    job = asked_job()
    office = sign_in(acme=Role.VIEWER)
    for position in ("9", "x", "-1", "1" * 40):
        assert office.get(f"{reverse('admin:jobs_job_answer', args=[job.pk])}?document={position}").status_code == 404
    assert 'role="alert"' in office.get(address(job, 3)).content.decode()
    other = make_office_client(make_user("other", **{make_workspace("globex").name: Role.OWNER}))
    assert other.get(address(job)).status_code == 404
    assert other.post(address(job), {"answer": "x"}).status_code == 404
    assert other.get(reverse("admin:jobs_job_documents", args=[job.pk])).status_code == 404


def test_the_page_of_a_job_of_one_request_has_its_answer() -> None:
    workspace = make_workspace()
    job, both = (
        make_job(workspace=workspace, done=1, dead=0, running=0, waiting=0),
        make_job(workspace=workspace, done=2, dead=0, waiting=0),
    )
    office = sign_in(acme=Role.VIEWER)
    page = office.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    item = job.items.get()
    assert re.search(r'id="only-answer">.*<div class="text">\S', page, re.DOTALL)
    assert reverse("admin:jobs_item_change", args=[item.pk]) in page
    assert "only-answer" not in office.get(reverse("admin:jobs_job_change", args=[both.pk])).content.decode()
