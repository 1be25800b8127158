"""Talking to a model in the back office: who may, and what the pages show. The streamed answer itself: tests/browser."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.conversations.models import Conversation
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.conversations import make_conversation, make_profile, make_summary, make_turn
from tests.factories.knowledge import make_collection, make_document, make_snapshot

pytestmark = pytest.mark.django_db
PAGES = (("jobs_job_chat", "GET"), ("jobs_job_chat", "POST"), ("jobs_job_chat_say", "POST"), ("jobs_job_chat_fork", "POST"),
         ("jobs_job_chat_delete", "GET"), ("jobs_job_chat_delete", "POST"))  # fmt: skip


def office(role: Role | None) -> Client:
    return make_office_client(
        make_user(f"one-{role}", is_superuser=False, is_staff=True, **({"acme": role} if role else {"other": Role.OWNER}))
    )


def ask(client: Client, name: str, method: str, conversation: Conversation) -> int:
    form = {"input": "Hello", "version": "1", "model": "none", "window_tokens": "1"} if method == "POST" else {}
    status: int = getattr(client, method.lower())(reverse(f"admin:{name}", args=[conversation.pk]), form).status_code
    return status


def test_strangers_find_nothing_viewers_only_look_members_talk() -> None:
    make_workspace("other")
    conversation = make_conversation(make_workspace("acme"))
    make_turn(conversation)
    stranger = office(None)
    assert {ask(stranger, name, method, conversation) for name, method in PAGES} == {404}
    viewer = office(Role.VIEWER)
    answers = {(name, method): ask(viewer, name, method, conversation) for name, method in PAGES}
    assert answers == {
        ("jobs_job_chat", "GET"): 200,
        ("jobs_job_chat", "POST"): 200,
        ("jobs_job_chat_say", "POST"): 403,
        ("jobs_job_chat_fork", "POST"): 404,
        ("jobs_job_chat_delete", "GET"): 302,
        ("jobs_job_chat_delete", "POST"): 302,
    }
    assert Conversation.objects.count() == 1
    member = office(Role.MEMBER)
    answers = {(name, method): ask(member, name, method, conversation) for name, method in PAGES}
    assert answers == {
        ("jobs_job_chat", "GET"): 200,
        ("jobs_job_chat", "POST"): 200,
        ("jobs_job_chat_say", "POST"): 200,
        ("jobs_job_chat_fork", "POST"): 302,
        ("jobs_job_chat_delete", "GET"): 200,
        ("jobs_job_chat_delete", "POST"): 302,
    }
    assert Conversation.objects.get().forked_from_id == conversation.pk


def test_the_page_shows_answers_citations_memory_summary_cost_and_run() -> None:
    workspace = make_workspace("acme")
    collection = make_collection(workspace, name="rules")
    make_document("Money is paid back within 30 days.", collection=collection, name="refunds.txt")
    snapshot = make_snapshot(collection)
    conversation = make_conversation(workspace, end_user="ada@example.org", collection_id=collection.pk)
    turn = make_turn(conversation, input="When <b>?", answer="In 30 days [1].", snapshot_id=snapshot.pk, cost_usd="0.000021", memory_seq=1)
    make_turn(conversation, input="x", answer="", state="failed", hash=None, error_code="provider_failed")
    make_summary(conversation, text="They spoke of refunds.")
    make_profile(workspace, "ada@example.org")
    page = make_office_client().get(reverse("admin:jobs_job_chat", args=[conversation.pk])).content.decode()
    wanted = [
        *("When &lt;b&gt;?", f'href="#passage-{turn.pk}-1"', "refunds.txt", "1 of 1 passage cited", "$0.000021", "They spoke of refunds."),
        *("Ada", reverse("admin:jobs_item_change", args=[turn.item_id]), "No answer: provider_failed", "answered from rules"),
    ]
    for text in wanted:
        assert text in page, text


def test_the_list_leads_to_the_chat() -> None:
    conversation = make_conversation(make_workspace("acme"), title="Refunds")
    client = make_office_client()
    assert "Refunds" in client.get(reverse("admin:conversations_conversation_changelist"), {"q": conversation.public_id}).content.decode()
    answer = client.get(reverse("admin:conversations_conversation_change", args=[conversation.pk]))
    assert answer.headers["Location"] == reverse("admin:jobs_job_chat", args=[conversation.pk])
