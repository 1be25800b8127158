"""Prompts in the back office: what each version says, what is different, work on the draft, publish, roll back."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.http import require_safe
from unfold.admin import ModelAdmin

from apps.accounts.permissions import Audited, ByWorkspace, MadeByMembers, ReadOnly, WorkspaceFilter
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.prompts import actions
from apps.prompts.actions.publish_version import DRAFT_CHANGED
from apps.prompts.domain.difference import compare
from apps.prompts.forms import DraftForm
from apps.prompts.models import Prompt, PromptVersion
from apps.prompts.queries import find_draft, versions_of

_SHOWN = 50


@admin.register(Prompt)
class PromptAdmin(MadeByMembers, Audited, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """A workspace's prompts. Its members make and change them; the actions write it down."""

    asks_why = False
    list_display = ("name", "workspace", "current", "description", "updated_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("name", "description")
    ordering = ("name", "pk")
    actions = None
    change_form_outer_before_template = "prompts/prompt.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "No prompt here yet. Add one: requests name it instead of carrying its texts, and answers tell their version."

    def get_fields(self, request: HttpRequest, obj: Prompt | None = None) -> tuple[Any, ...]:  # noqa: ARG002 -- Django's signature
        if obj is None:
            return ("workspace", "name", "description")
        return (("name", "workspace"), "description", ("current", "public_id"), ("created_at", "updated_at"))

    def get_readonly_fields(self, request: HttpRequest, obj: Prompt | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        return () if obj is None else ("current", "public_id", "created_at", "updated_at")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:prompt_id>/draft/", view(self.draft), name="prompts_prompt_draft"),
            path("<uuid:prompt_id>/publish/", view(self.publish), name="prompts_prompt_publish"),
            path("<uuid:prompt_id>/archive/", view(self.archive), name="prompts_prompt_archive"),
            path("<uuid:prompt_id>/compare/", view(require_safe(self.compare)), name="prompts_prompt_compare"),
            *super().get_urls(),
        ]

    @admin.display(description="current version", ordering="current_number")
    def current(self, prompt: Prompt) -> str:
        return f"{prompt.name}@{prompt.current_number}" if prompt.current_number else "none published"

    # --- who may ------------------------------------------------------------------------------------------------

    def _refusal(self, request: HttpRequest, prompt: Prompt) -> HttpResponse | None:
        if self.may_change(request, prompt):
            return None
        messages.error(request, "Members of the workspace change its prompts; your role lets you look.")
        return self.back(prompt)

    # --- changes ------------------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Prompt, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 -- Django's signature
        made = actions.create_prompt(workspace_id=obj.workspace_id, name=obj.name, description=obj.description, now=current_time())
        # The page goes on with the row that the action made.
        obj.pk = made.pk

    def response_add(self, request: HttpRequest, obj: Prompt, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 -- Django's signature
        return HttpResponseRedirect(reverse("admin:prompts_prompt_draft", args=[obj.pk]))

    def draft(self, request: HttpRequest, prompt_id: UUID) -> HttpResponse:
        """The form of what is worked on; without a draft it begins with what the current version says."""
        prompt = self._prompt(request, prompt_id)
        if refusal := self._refusal(request, prompt):
            return refusal
        form = DraftForm(request.POST) if request.method == "POST" else DraftForm(initial=_initial(prompt))
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            try:
                saved = actions.save_draft(
                    workspace_id=prompt.workspace_id,
                    prompt_id=prompt.pk,
                    content=values["content"],
                    note=values["note"],
                    now=current_time(),
                )
                messages.success(request, f"The draft is saved as version {saved.number}. Publish it when it is good.")
                return self.back(prompt)
            except ApiError as refused:
                form.add_error(None, refused.message)
        return self.page(request, "prompts/draft.html", title=f"Draft of {prompt.name}", prompt=prompt, form=form)

    def publish(self, request: HttpRequest, prompt_id: UUID) -> HttpResponse:
        """Ask first, with what will be different; then requests that name no version get this one."""
        return self._ask(request, prompt_id, verb="publish", done="is published: requests that name no version get it from now on.")

    def archive(self, request: HttpRequest, prompt_id: UUID) -> HttpResponse:
        """Ask first; then the version can't be used until it is published again."""
        return self._ask(request, prompt_id, verb="archive", done="is archived.")

    def _ask(self, request: HttpRequest, prompt_id: UUID, *, verb: str, done: str) -> HttpResponse:
        prompt = self._prompt(request, prompt_id)
        if refusal := self._refusal(request, prompt):
            return refusal
        version = _version(prompt, request.POST.get("version") or request.GET.get("version"))
        if version is None:
            messages.error(request, "There is no such version.")
            return self.back(prompt)
        if request.method != "POST":
            current = _version(prompt, str(prompt.current_number or ""))
            parts = compare(current.content, version.content) if current and current.pk != version.pk else []
            context = {"prompt": prompt, "version": version, "current": current, "parts": parts, "verb": verb}
            return self.page(request, "prompts/ask.html", title=f"{verb.capitalize()} {prompt.name}@{version.number}?", **context)
        which: dict[str, Any] = {"workspace_id": prompt.workspace_id, "prompt_id": prompt.pk, "number": version.number}
        try:
            if verb == "publish":
                actions.publish_version(**which, now=current_time(), looked_at=request.POST.get("looked_at"))
            else:
                actions.archive_version(**which, now=current_time())
            messages.success(request, f"{prompt.name}@{version.number} {done}")
        except ApiError as refused:
            messages.error(request, refused.message)
            if refused.code == DRAFT_CHANGED:
                return HttpResponseRedirect(f"{request.path}?version={version.number}")
        return self.back(prompt)

    # --- pages --------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        prompt = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if prompt:
            versions = list(versions_of(prompt.pk).order_by("-number")[:_SHOWN])
            context = {"prompt": prompt, "versions": versions, "may_change": self.may_change(request, prompt)}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def compare(self, request: HttpRequest, prompt_id: UUID) -> HttpResponse:
        """`?before=1&after=2`; the newest two when nothing is said."""
        prompt = self._prompt(request, prompt_id)
        numbers = list(versions_of(prompt.pk).order_by("-number").values_list("number", flat=True)[:_SHOWN])
        newest = (numbers or [0])[0]
        after = _version(prompt, request.GET.get("after") or str(newest))
        before = _version(prompt, request.GET.get("before") or str(max(1, (after.number if after else newest) - 1)))
        if numbers and (before is None or after is None):
            raise Http404
        parts = compare(before.content, after.content) if before and after else []
        context = {"prompt": prompt, "before": before, "after": after, "parts": parts, "numbers": numbers}
        return self.page(request, "prompts/compare.html", title=f"Versions of {prompt.name}", **context)

    def _prompt(self, request: HttpRequest, prompt_id: UUID) -> Prompt:
        prompt: Prompt = get_object_or_404(self.get_queryset(request), pk=prompt_id)
        return prompt


def _version(prompt: Prompt, number: str | None) -> PromptVersion | None:
    """The one of that number; the newest when none is said."""
    versions = versions_of(prompt.pk)
    if number is None:
        return versions.order_by("-number").first()
    return versions.filter(number=int(number)).first() if number.isascii() and number.isdecimal() and len(number) <= 9 else None


def _initial(prompt: Prompt) -> dict[str, Any]:
    draft = find_draft(prompt)
    version = draft or _version(prompt, str(prompt.current_number or ""))
    if version is None:
        return {"variables": [], "parameters": {}}
    told = version.content.as_json()
    return told | {"note": draft.note if draft else ""}
