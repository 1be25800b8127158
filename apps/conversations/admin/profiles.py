"""What is remembered of people: now and as it was, since when and where from; changed, rebuilt and erased with a reason."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from apps.accounts.permissions import Audited, ByWorkspace, MadeByMembers, ReadOnly, WorkspaceFilter, reason_of
from apps.conversations import actions
from apps.conversations.actions import Origin, Rebuilt
from apps.conversations.domain.memory import Change, Kind, Source, compare, read_things
from apps.conversations.forms import RememberForm
from apps.conversations.models import Profile
from apps.conversations.queries.memory import list_history, read_memory_of, read_things_with_events
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError

_SHOWN = 50
_NO_CHANGE = "Members of the workspace change what is remembered; your role lets you look."


@admin.register(Profile)
class ProfileAdmin(MadeByMembers, Audited, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Whom something is remembered of. Programs and models write; members of the workspace look, correct and erase."""

    asks_why = False
    list_display = ("end_user", "workspace", "remembered", "seq", "updated_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("end_user",)
    ordering = ("-pk",)
    actions = None
    fields = (("end_user", "workspace"), ("public_id", "seq"), ("created_at", "updated_at"))
    readonly_fields = ("public_id",)
    change_form_outer_before_template = "conversations/profile.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "Nobody is remembered yet. Models remember by their tool, programs by /api/profiles."

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:profile_id>/set/", view(self.set), name="conversations_profile_set"),
            path("<uuid:profile_id>/forget/", view(self.forget), name="conversations_profile_forget"),
            path("<uuid:profile_id>/rebuild/", view(require_POST(self.rebuild)), name="conversations_profile_rebuild"),
            path("<uuid:profile_id>/discard/", view(self.discard), name="conversations_profile_discard"),
            *super().get_urls(),
        ]

    @admin.display(description="things remembered")
    def remembered(self, profile: Profile) -> int:
        return len(profile.memory)

    # --- pages --------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """`?seq=7`: as it was after event 7, and what has changed since."""
        profile = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if profile:
            wanted = request.GET.get("seq", "")
            is_number = wanted.isascii() and wanted.isdecimal() and len(wanted) <= 15
            seq = int(wanted) if is_number and int(wanted) < profile.seq else None
            _, things = read_memory_of(profile, seq=seq)
            context = {
                "profile": profile,
                "seq": seq,
                "things": read_things_with_events(profile, things),
                "since": compare({thing.key: thing for thing in things}, read_things(profile.memory)) if seq is not None else (),
                "history": list_history(profile, upto=seq, limit=_SHOWN),
                "may_change": self.may_change(request, profile),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    # --- changes ------------------------------------------------------------------------------------------------

    def set(self, request: HttpRequest, profile_id: UUID) -> HttpResponse:
        """Remember something, or `?key=...`: say it anew."""
        profile = self._profile(request, profile_id)
        if refusal := self._refusal(request, profile):
            return refusal
        key = request.GET.get("key", "")
        there = read_things(profile.memory).get(key)
        initial = {"key": key, "text": there.text if there else "", "seq": profile.seq}
        form = RememberForm(request.POST) if request.method == "POST" else RememberForm(initial=initial)
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            change = Change(Kind.SET, values["key"], values["text"])
            try:
                changed = self._change(request, profile, change, seq=values["seq"], why=values["reason"])
            except ApiError as refused:
                form.add_error(refused.param if refused.param in form.fields else None, refused.message)
            else:
                messages.success(request, f"{values['key']} is remembered." if changed else "That is remembered already, word for word.")
                return self.back(profile)
        title = f"What is remembered of {profile.end_user}"
        return self.page(request, "conversations/remember.html", title=title, profile=profile, form=form)

    def forget(self, request: HttpRequest, profile_id: UUID) -> HttpResponse:
        """`?key=...`: ask first; the history keeps what was remembered."""
        profile = self._profile(request, profile_id)
        if refusal := self._refusal(request, profile):
            return refusal
        key = request.POST.get("key") or request.GET.get("key", "")
        thing = read_things(profile.memory).get(key)
        if thing is None:
            messages.error(request, "Nothing is remembered under that key.")
            return self.back(profile)
        if request.method != "POST":
            return self.page(request, "conversations/forget.html", title=f"Forget {key}?", profile=profile, thing=thing, why_is_needed=True)
        try:
            self._change(request, profile, Change(Kind.FORGET, key), why=reason_of(request))
        except ApiError as refused:
            messages.error(request, refused.message)
            return HttpResponseRedirect(request.get_full_path())
        messages.success(request, f"{key} is forgotten; its history stays.")
        return self.back(profile)

    def rebuild(self, request: HttpRequest, profile_id: UUID) -> HttpResponse:
        """Make what is kept anew from the events, and say what was found."""
        profile = self._profile(request, profile_id)
        if refusal := self._refusal(request, profile):
            return refusal
        found = actions.rebuild_memory(profile_id=profile.pk, now=current_time(), reason=reason_of(request, is_needed=False))
        level = messages.WARNING if found.differences or found.breaks else messages.SUCCESS
        messages.add_message(request, level, _told(found))
        return self.back(profile)

    def discard(self, request: HttpRequest, profile_id: UUID) -> HttpResponse:
        """Ask first, with what goes; the person's name is to be written."""
        profile = self._profile(request, profile_id)
        if refusal := self._refusal(request, profile):
            return refusal
        if request.method != "POST":
            title = f"Erase what is remembered of {profile.end_user}?"
            return self.page(request, "conversations/erase.html", title=title, profile=profile, why_is_needed=True)
        try:
            events = actions.erase_profile(
                profile_id=profile.pk, end_user=request.POST.get("name", ""), now=current_time(), reason=reason_of(request)
            )
        except ApiError as refused:
            messages.error(request, refused.message)
            return HttpResponseRedirect(request.path)
        messages.success(request, f"All that was remembered is erased, with {events:,} events.")
        return HttpResponseRedirect(reverse("admin:conversations_profile_changelist"))

    def _change(self, request: HttpRequest, profile: Profile, change: Change, *, why: str, seq: int | None = None) -> bool:
        origin = Origin(Source.STAFF, user_id=UUID(str(request.user.pk)), why=why)
        changed = actions.change_memory(profile_id=profile.pk, change=change, origin=origin, expected_seq=seq, now=current_time())
        return changed.is_new

    def _profile(self, request: HttpRequest, profile_id: UUID) -> Profile:
        profile: Profile = get_object_or_404(self.get_queryset(request), pk=profile_id)
        return profile

    def _refusal(self, request: HttpRequest, profile: Profile) -> HttpResponse | None:
        if self.may_change(request, profile):
            return None
        messages.error(request, _NO_CHANGE)
        return self.back(profile)


def _told(found: Rebuilt) -> str:
    """What a rebuild found, in words."""
    said = f"Made anew from {found.events:,} events: "
    if not found.differences and not found.breaks:
        return f"{said}it was just that, and their chain of hashes is whole."
    parts = []
    if found.differences:
        keys = ", ".join(found.differences[:10]) + (f" and {len(found.differences) - 10} more" if len(found.differences) > 10 else "")
        parts.append(f"something else had been kept under {keys}")
    if found.breaks:
        parts.append(f"the chain of events was not whole ({'; '.join(found.breaks[:3])})")
    return said + ", and ".join(parts) + "."
