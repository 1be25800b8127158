"""Conversations in the back office: which there are. What is said in one stands on its chat page, where work begins (jobs)."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter
from apps.accounts.queries import may_submit
from apps.conversations.domain.state import CONVERSATION_PREFIX
from apps.conversations.models import Conversation
from apps.lib.ids import parse_public_id


@admin.register(Conversation)
class ConversationAdmin(ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """A workspace's conversations, newest first."""

    list_display = ("named", "workspace", "end_user", "model_name", "version", "forked", "updated_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("title", "end_user")
    search_help_text = "A title, who speaks, or a conversation's id."
    ordering = ("-pk",)
    actions = None
    show_full_result_count = False
    list_before_template = "conversations/list_head.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "'New conversation' talks to a model here; programs begin conversations by POST /api/conversations."

    @admin.display(description="conversation", ordering="title")
    def named(self, conversation: Conversation) -> str:
        return str(conversation)

    @admin.display(description="turns", ordering="version")
    def version(self, conversation: Conversation) -> int:
        return conversation.version

    @admin.display(description="forked from")
    def forked(self, conversation: Conversation) -> SafeString | str:
        if conversation.forked_from_id is None:
            return "-"
        return format_html("turn {} of {}", conversation.forked_at_version, str(conversation.forked_from_id)[:8])

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown: HttpResponse = super().changelist_view(request, (extra_context or {}) | {"may_submit": may_submit(request.user)})
        return shown

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        key = parse_public_id(CONVERSATION_PREFIX, search_term.strip())
        if key:
            return queryset.filter(pk=key), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its chat page, for whoever may see it."""
        found = self.get_object(request, object_id)
        if found is None:
            answer: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
            return answer
        return HttpResponseRedirect(reverse("admin:jobs_job_chat", args=[found.pk]))
