"""Prompts in the back office: made, drafted, compared, published and rolled back by people."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from apps.accounts.models import Role
from apps.jobs.actions import validate_job
from apps.jobs.models import Item, Job
from apps.prompts.domain.content import PromptContent, read_content
from apps.prompts.domain.difference import compare
from apps.prompts.models import Prompt, PromptVersion
from apps.spend.models import Price
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_route
from tests.factories.prompts import make_prompt, make_version

pytestmark = pytest.mark.django_db


_LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


def page(client: Client, name: str, prompt: Prompt, **query: Any) -> str:
    answer = client.get(reverse(f"admin:prompts_prompt_{name}", args=[prompt.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def send(client: Client, name: str, prompt: Prompt, **form: Any) -> str:
    answer = client.post(reverse(f"admin:prompts_prompt_{name}", args=[prompt.pk]), form, follow=True)
    return answer.content.decode()


def test_a_member_makes_drafts_publishes_and_rolls_back_a_prompt() -> None:
    workspace = make_workspace()
    client = make_office_client(make_user(acme=Role.MEMBER))
    client.post(reverse("admin:prompts_prompt_add"), {"workspace": workspace.pk, "name": "letter"})
    prompt = Prompt.objects.get(workspace=workspace)
    assert "It says nothing yet" in page(client, "change", prompt)
    told = send(client, "draft", prompt, user="Say {{ what }}", variables='[{"name": "what"}]')
    assert "The draft is saved as version 1" in told
    assert "letter@1 is published" in send(client, "publish", prompt, version="1")
    send(client, "draft", prompt, user="Say\r\n{{ what }}", variables='[{"name": "what"}]', note="in two lines")
    assert PromptVersion.objects.get(number=2).user == "Say\n{{ what }}"
    asked = page(client, "publish", prompt, version="2")
    assert "What will be different" in asked
    assert "instead of version 1" in asked
    send(client, "publish", prompt, version="2")
    shown = page(client, "change", prompt)
    assert "Roll back to 1…" in shown
    assert "in two lines" in shown
    send(client, "publish", prompt, version="1")
    prompt.refresh_from_db()
    assert prompt.current_number == 1
    assert "letter@1 is archived" in send(client, "archive", prompt, version="1")


def test_a_draft_that_can_not_be_used_is_shown_again_with_what_is_wrong() -> None:
    prompt, client = make_prompt(), make_office_client()
    assert "uses {{ what }}, and no variable" in send(client, "draft", prompt, user="Say {{ what }}", variables="[]")
    assert "Enter a valid JSON" in send(client, "draft", prompt, user="a", variables="[")
    assert "no parameter of a version" in send(client, "draft", prompt, user="a", parameters='{"stream": true}')
    assert not PromptVersion.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 5_000, "[" * 100_000, '{"a": 1, "a": 2}'])
def test_what_only_python_reads_as_json_is_no_draft(number: str) -> None:
    prompt, client = make_prompt(), make_office_client()
    for field, text in (
        ("parameters", f'{{"temperature": {number}}}'),
        ("output_schema", f'{{"maximum": {number}}}'),
        ("variables", number),
    ):
        assert "Enter a valid JSON" in send(client, "draft", prompt, user="a", **{field: text})
    assert not PromptVersion.objects.exists()


def test_what_was_saved_after_the_look_is_not_published() -> None:
    prompt, client = make_prompt(), make_office_client()
    make_version(prompt, user="looked at", is_published=False)
    mark = re.search(r'name="looked_at" value="([^"]+)"', page(client, "publish", prompt, version="1"))
    assert mark
    make_version(prompt, user="saved meanwhile", is_published=False)
    told = send(client, "publish", prompt, version="1", looked_at=mark[1])
    assert "has been saved since you looked at it" in told
    again = re.search(r'name="looked_at" value="([^"]+)"', told)
    assert again
    assert PromptVersion.objects.get().state == "draft"
    assert "letter@1 is published" in send(client, "publish", prompt, version="1", looked_at=again[1])


def test_the_draft_begins_with_what_the_current_version_says() -> None:
    version = make_version(user="Say <b>{{ what }}</b>", variables=[{"name": "what"}])
    assert "Say &lt;b&gt;{{ what }}&lt;/b&gt;" in page(make_office_client(), "draft", version.prompt)


def test_two_versions_are_compared_line_by_line() -> None:
    prompt = make_prompt()
    make_version(prompt, user="one\ntwo", parameters={"temperature": 0})
    make_version(prompt, user="one\n<two>", model="", parameters={"temperature": 0})
    client = make_office_client()
    told = page(client, "compare", prompt)
    assert '<span class="unseen">removed: </span><span class="text">two</span>' in told
    assert '<span class="unseen">added: </span><span class="text">&lt;two&gt;</span>' in told
    assert "Parameters" not in told
    assert "They say the same" in page(client, "compare", prompt, before=1, after=1)
    for query in ({"before": "9"}, {"after": "x"}):
        assert client.get(reverse("admin:prompts_prompt_compare", args=[prompt.pk]), query).status_code == 404


def test_of_long_texts_the_lines_around_a_change_are_shown() -> None:
    texts = [str(number) for number in range(30)]
    before = read_content(user="\n".join(texts))
    after = read_content(user="\n".join([*texts[:15], "new", *texts[16:]]), model="small")
    user, model = compare(before, after)
    assert [(line.change, line.text, line.skipped) for line in user.lines] == [
        ("kept", "", 12), ("kept", "12", 0), ("kept", "13", 0), ("kept", "14", 0), ("removed", "15", 0), ("added", "new", 0),
        ("kept", "16", 0), ("kept", "17", 0), ("kept", "18", 0), ("kept", "", 11),
    ]  # fmt: skip
    assert [(line.change, line.text) for line in model.lines] == [("added", "small")]
    assert compare(before, before) == []


def test_texts_of_many_equal_lines_are_compared_without_matching_them() -> None:
    lines = ["a", "b"] * 49_000
    before = read_content(user="\n".join(["same", "old", *lines, "end"]))
    after = read_content(user="\n".join(["same", *lines, "new", "end"]))
    (user,) = compare(before, after)
    assert [line.change for line in user.lines] == ["kept", *["removed"] * 98_001, *["added"] * 98_001, "kept"]
    assert [user.lines[0].text, user.lines[1].text, user.lines[-2].text, user.lines[-1].text] == ["same", "old", "new", "end"]


@given(before=_LINES, after=_LINES)
@example(before=["a"], after=["a", "a"])
@example(before=["a", "b"] * 1_000, after=["b", "b", "a"] * 600)
def test_a_difference_holds_both_texts(before: list[str], after: list[str]) -> None:
    parts = compare(PromptContent(user="\n".join(before)), PromptContent(user="\n".join(after)))
    if not parts:
        return
    lines = parts[0].lines
    olds, news = iter("\n".join(before).splitlines()), iter("\n".join(after).splitlines())
    for line in lines:
        for _ in range(line.skipped or 1):
            old = next(olds) if line.change != "added" else None
            new = next(news) if line.change != "removed" else None
            assert line.skipped or line.text in {old, new}
            assert line.change != "kept" or old == new
    assert [*olds, *news] == []


def test_a_version_is_tried_out_as_a_job_that_says_which_one_it_was() -> None:
    make_route()
    prompt = make_prompt()
    variables = [{"name": "what"}, {"name": "times", "type": "number", "default": 2}, {"name": "loud", "type": "boolean", "default": False}]
    draft = make_version(prompt, is_published=False, user="Say {{ what }} {{ times }} {{ loud }}", variables=variables)
    client = make_office_client(make_user(acme=Role.MEMBER))
    path = f"{reverse('admin:jobs_job_try')}?prompt={prompt.pk}&version={draft.number}"
    assert f"Try {draft} out" in client.get(path).content.decode()
    assert "must be a number" in client.post(path, {"model": "small", "value_what": "hi", "value_times": '"3"'}).content.decode()
    for number in ("NaN", "1e999", "1" + "0" * 350, "9" * 5_000, "[" * 5_000):
        told = client.post(path, {"model": "small", "value_what": "hi", "value_times": number})
        assert (told.status_code, "Enter a valid JSON" in told.content.decode() or "400 at most" in told.content.decode()) == (200, True)
    assert not Job.objects.exists()
    Price.objects.update(input_usd_per_million=1_000_000, output_usd_per_million=0)
    looked = client.post(path, {"model": "small", "value_what": "hi", "value_times": "3", "step": "preview"}).content.decode()
    cost = re.search(r'id="cost".*?<strong>\$(\d+)\.0000 to \$(\d+)\.0000<', looked)
    assert cost is not None
    assert 0 < int(cost[1]) <= int(cost[2])
    assert "Say hi 3 false" in looked
    assert not Job.objects.exists()
    answer = client.post(path, {"model": "small", "value_what": "hi", "value_times": "3"})
    job = Job.objects.get()
    assert answer.headers["Location"] == reverse("admin:jobs_job_change", args=[job.pk])
    validate_job(job_id=job.pk, clock=timezone.now)
    item = Item.objects.get(job=job)
    assert (item.prompt_version, item.feature, item.lane) == ("letter@1-draft", "prompt try-out", "interactive")
    assert b"Say hi 3 false" in read_bodies([item.request_body_id])[item.request_body_id]
    stranger = make_office_client(make_user("eve", globex=Role.OWNER))
    assert stranger.get(path).status_code == stranger.post(path, {"model": "small", "value_what": "hi"}).status_code == 404
    assert Job.objects.count() == 1
