"""Talk to a model in the back office: the answer as it comes, what it cites, what is remembered, what it cost, and the run behind it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from apps.accounts.queries import workspaces_for_submitting
from apps.conversations.actions import delete_conversation, record_conversation
from apps.conversations.queries.memory import read_memory
from apps.conversations.queries.turns import find_shown_conversation, read_state, turns_of
from apps.jobs import actions
from apps.jobs.actions.prepare_turn import TurnAsk
from apps.jobs.domain.call_answer import CallAnswer, in_words
from apps.jobs.domain.call_request import FEATURE_HEADER, Caller, CallRefusedError
from apps.jobs.domain.citations import Said, cited_of, cut_by
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.jobs.domain.turn_request import TurnRequest
from apps.jobs.forms.chat import ConversationForm, SayForm
from apps.knowledge.domain.cited import CitedPassage
from apps.knowledge.queries import collections_of, read_cited
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.sse import HEARTBEAT, write_event
from apps.lib.streaming import stream_events
from apps.providers.queries import list_callable

_SHOWN = 100
_FEATURE = "chat"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A turn as the page shows it."""

    turn: Any
    said: list[Said]
    passages: list[CitedPassage]
    cited: list[int]

    @property
    def not_cited(self) -> int:
        return len(self.passages) - len(self.cited)


class ChatPages:
    """For the admin of jobs: `chat/` begins a conversation, `chat/<id>/` shows it, `say/` answers a turn as it comes."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]  # a mixin
        return [
            path("chat/", view(self.new_chat), name="jobs_job_chat_new"),
            path("chat/<uuid:conversation_id>/", view(self.chat), name="jobs_job_chat"),
            path("chat/<uuid:conversation_id>/say/", view(require_POST(self.say)), name="jobs_job_chat_say"),
            path("chat/<uuid:conversation_id>/fork/", view(require_POST(self.fork_chat)), name="jobs_job_chat_fork"),
            path("chat/<uuid:conversation_id>/delete/", view(self.delete_chat), name="jobs_job_chat_delete"),
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def new_chat(self, request: HttpRequest) -> HttpResponse:
        """Begin a conversation in one of the user's workspaces: the one that the address names, or the first."""
        workspaces = list(workspaces_for_submitting(request.user))
        named = request.GET.get("workspace")
        workspace = next((one for one in workspaces if named in (None, one.name)), None)
        if workspace is None:
            raise Http404
        form = _form(request, workspace.pk, {})
        if request.method == "POST" and form.is_valid():
            try:
                made = actions.begin_conversation(
                    caller=Caller(workspace.pk, None),
                    created_by_id=UUID(str(request.user.pk)),
                    end_user=_speaker(request),
                    now=current_time(),
                    **form.cleaned_data,
                )
                return redirect("admin:jobs_job_chat", made.pk)
            except ApiError as refused:
                form.add_error(None, refused.message)
        context = {"title": "New conversation", "form": form, "workspaces": workspaces, "workspace": workspace}
        return self._page(request, "jobs/chat_new.html", context)

    def chat(self, request: HttpRequest, conversation_id: UUID) -> HttpResponse:
        """What was said, and the form that says more; POST changes how the next turns are asked."""
        conversation = self._conversation(request, conversation_id)
        actions.close_turns(conversation_id=conversation.pk)
        conversation.refresh_from_db()
        may_talk = _may_talk(request, conversation)
        names = {row.pk: row.name for row in collections_of(conversation.workspace_id)}
        initial = {name: getattr(conversation, name) for name in ("title", "instructions", "window_tokens")}
        initial |= {"model": conversation.model_name, "collection": names.get(conversation.collection_id, "")}
        form = _form(request, conversation.workspace_id, initial)
        if request.method == "POST" and may_talk and form.is_valid():
            try:
                actions.change_conversation(conversation, now=current_time(), **form.cleaned_data)
                messages.success(request, "The next turns are asked so.")
                return HttpResponseRedirect(request.path)
            except ApiError as refused:
                form.add_error(None, refused.message)
        seq, remembered = read_memory(workspace_id=conversation.workspace_id, end_user=conversation.end_user)
        turns = list(turns_of(conversation.pk).order_by("-number", "-id")[:_SHOWN])[::-1]
        context = {
            "title": str(conversation),
            "conversation": conversation,
            "state": read_state(conversation).token,
            "collection": names.get(conversation.collection_id, ""),
            "turns": _shown(conversation.workspace_id, turns),
            "earlier": max(0, (turns[0].number - 1) if turns else 0),
            "cost_usd": sum((turn.cost_usd for turn in turns if turn.copied_from_id is None), Decimal(0)),
            "summary": conversation.summaries.filter(state="answered").order_by("-upto").first(),
            "remembered": remembered,
            "memory_seq": seq,
            "form": form,
            "say": SayForm(),
            "may_talk": may_talk,
        }
        return self._page(request, "jobs/chat.html", context)

    def say(self, request: HttpRequest, conversation_id: UUID) -> HttpResponse | StreamingHttpResponse:
        """One turn, as server-sent events: the pieces of its answer, and last `turn`, or `refused` with the reason."""
        conversation = self._conversation(request, conversation_id)
        form = SayForm(request.POST)
        if not _may_talk(request, conversation):
            return HttpResponse("Your role in this workspace only lets you look.", status=403, content_type="text/plain")
        if not form.is_valid():
            return HttpResponse(" ".join(map(str, form.errors["input"])), status=400, content_type="text/plain")
        wanted = TurnRequest(form.cleaned_data["input"], None, system="", rest={"stream": True}, read=None, on_conflict=None)
        caller = Caller(conversation.workspace_id, None)
        record_conversation(conversation, "asked")
        user_id = UUID(str(request.user.pk))
        ask = actions.turn_ask(caller, conversation.pk, wanted, headers={FEATURE_HEADER: _FEATURE}, created_by_id=user_id)
        return stream_events(_talk(ask))

    def fork_chat(self, request: HttpRequest, conversation_id: UUID) -> HttpResponse:
        """Another conversation that begins as this one was behind one of its turns."""
        conversation = self._conversation(request, conversation_id)
        version = request.POST.get("version", "")
        if not _may_talk(request, conversation) or not (version.isascii() and version.isdecimal() and len(version) < 10):
            raise Http404
        try:
            fork = actions.fork_at(conversation, version=int(version), created_by_id=UUID(str(request.user.pk)), now=current_time())
        except ApiError as refused:
            messages.error(request, refused.message)
            return redirect("admin:jobs_job_chat", conversation.pk)
        messages.success(request, f"This conversation goes on from turn {version} of the other one, which stays as it is.")
        return redirect("admin:jobs_job_chat", fork.pk)

    def delete_chat(self, request: HttpRequest, conversation_id: UUID) -> HttpResponse:
        """Asks first; what was said can't be brought back."""
        conversation = self._conversation(request, conversation_id)
        if not _may_talk(request, conversation):
            messages.error(request, "Your role in this workspace only lets you look.")
            return redirect("admin:jobs_job_chat", conversation.pk)
        if request.method == "POST":
            delete_conversation(workspace_id=conversation.workspace_id, key=conversation.pk, now=current_time())
            messages.success(request, "The conversation is deleted.")
            return redirect(reverse("admin:conversations_conversation_changelist"))
        return self._page(request, "jobs/chat_delete.html", {"title": f"Delete {conversation}?", "conversation": conversation})

    def _conversation(self, request: HttpRequest, conversation_id: UUID) -> Any:
        found = find_shown_conversation(workspace_ids=self.workspaces_shown(request), key=conversation_id)  # type: ignore[attr-defined]  # a mixin
        if found is None:
            raise Http404
        return found

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(request, template, self.admin_site.each_context(request) | context)  # type: ignore[attr-defined]  # a mixin


def _form(request: HttpRequest, workspace_id: UUID, initial: dict[str, Any]) -> ConversationForm:
    models = [model.name for model in list_callable()]
    collections = list(collections_of(workspace_id).order_by("name").values_list("name", flat=True))
    return ConversationForm(request.POST or None, initial=initial, models=models, collections=collections)


def _may_talk(request: HttpRequest, conversation: Any) -> bool:
    return workspaces_for_submitting(request.user).filter(pk=conversation.workspace_id).exists()


def _speaker(request: HttpRequest) -> str:
    return getattr(request.user, "email", "") or request.user.get_username()


def _shown(workspace_id: UUID, turns: list[Any]) -> list[_Shown]:
    cited = read_cited(workspace_id, [turn.snapshot_id for turn in turns if turn.snapshot_id])

    def shown(turn: Any) -> _Shown:
        passages = cited.get(turn.snapshot_id, [])
        return _Shown(turn, cut_by(turn.answer, passages), passages, [passage.number for passage in cited_of(turn.answer, passages)])

    return [shown(turn) for turn in turns]


async def _talk(ask: TurnAsk) -> AsyncIterator[bytes]:
    """The events of one turn. Whoever leaves does not end one that was sent: it is answered, stored and shown the next time."""
    item_id, told = uuid7(), StreamedAnswer(is_usage_told=False)
    try:
        _, begun = await actions.say_turn(ask, item_id=item_id, told=told, clock=current_time)
    except (ApiError, CallRefusedError) as refused:
        yield _refused(refused.message)
        return
    if isinstance(begun, CallAnswer):
        for line in _lines(begun, told):
            yield line
        return
    async with aclosing(begun.written(partial(_lines, told=told))) as lines:
        async for line in lines:
            yield line


def _lines(piece: Any, told: StreamedAnswer) -> list[bytes]:
    if piece is None:
        return [HEARTBEAT]
    if not isinstance(piece, CallAnswer):
        return [write_event(piece.data.encode())]
    if piece.content is None or piece.status != 200:
        return [_refused(in_words(piece).message)]
    return [*(write_event(data) for data in told.end(piece)), write_event(b"{}", name="turn")]


def _refused(message: str) -> bytes:
    return write_event(orjson.dumps({"message": message}), name="refused")
