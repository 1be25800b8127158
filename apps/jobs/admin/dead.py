"""The triage desk: dead items by what they died of; look into a group, requeue it after a look at count and cost, or discard it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from apps.accounts.queries import workspaces_for_submitting, workspaces_of
from apps.jobs.actions import discard_dead, requeue_dead
from apps.jobs.actions.requeue_dead import select_dead
from apps.jobs.domain.dead_items import USUAL_PER_MINUTE, Wish, WishRefusedError, read_wish
from apps.jobs.queries import MOST_GROUPED, list_dead_groups
from apps.lib.http_errors import ApiError
from apps.lib.why_field import MISSING
from apps.providers.domain.outcomes import CLASSES
from apps.providers.queries import list_callable

_SHOWN = 20


class DeadItemPages:
    """For the admin of items: `dead/`, and with `?group=` one group of it."""

    def get_urls(self) -> list[Any]:
        return [
            path("dead/", self.admin_site.admin_view(self.dead), name="jobs_item_dead"),  # type: ignore[attr-defined]  # a mixin
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def dead(self, request: HttpRequest) -> HttpResponse:
        """All groups, or one; a POST first shows what would happen, and with `step=do` does it."""
        own = [workspace.pk for workspace in workspaces_for_submitting(request.user)]
        if request.method == "POST":
            if not own:
                raise PermissionDenied("Your role lets you look, not change.")
            return self._change(request, None if request.user.is_superuser else own)
        return self._show(request, {"may_change": bool(own)})

    def _show(self, request: HttpRequest, more: dict[str, Any]) -> HttpResponse:
        scope, group = workspaces_of(request.user), request.GET.get("group", "")
        try:
            chosen = read_wish({"fingerprint": group}).selection if group else None
        except WishRefusedError:
            return HttpResponseRedirect(reverse("admin:jobs_item_dead"))
        context = {
            "title": "Dead items",
            "groups": list_dead_groups(workspace_ids=scope, fingerprint=group),
            "most_grouped": MOST_GROUPED,
            "items": select_dead(chosen, workspace_ids=scope).select_related("job").order_by("-id")[:_SHOWN] if chosen else (),
            "group": group,
            "models": [model.name for model in list_callable()],
            "usual_per_minute": USUAL_PER_MINUTE,
            "classes": CLASSES,
        }
        site = self.admin_site.each_context(request)  # type: ignore[attr-defined]  # a mixin
        return TemplateResponse(request, "jobs/dead.html", site | context | more)

    def _change(self, request: HttpRequest, workspace_ids: Any) -> HttpResponse:
        back = HttpResponseRedirect(request.get_full_path())
        is_discard, is_done = request.POST.get("act") == "discard", request.POST.get("step") == "do"
        try:
            wish = _wish(request)
            if is_discard and not is_done:
                return self._ask_to_discard(request, wish, workspace_ids)
            if is_discard:
                items = discard_dead(wish.selection, workspace_ids=workspace_ids, now=timezone.now(), reason=wish.reason)
                messages.success(request, f"Discarded: {_number_of(items, 'item')}; on record with their job, and out of this list.")
                return HttpResponseRedirect(reverse("admin:jobs_item_dead"))
            found = requeue_dead(
                wish.selection, wish.change, workspace_ids=workspace_ids, is_dry_run=not is_done, now=timezone.now(), reason=wish.reason
            )
        except WishRefusedError as refused:
            messages.error(request, refused.message)
            return back
        except ApiError as refused:
            messages.error(request, refused.message)
            return back
        if not is_done:
            return self._show(request, {"may_change": True, "found": found, "wish": wish})
        left = f" {found.left:,} more are left: ask again." if found.left else ""
        told = f"Set to run again: {_number_of(found.items, 'item')} of {_number_of(found.jobs, 'job')}.{left}"
        messages.success(request, told)
        return HttpResponseRedirect(reverse("admin:jobs_item_dead"))

    def _ask_to_discard(self, request: HttpRequest, wish: Wish, workspace_ids: Any) -> HttpResponse:
        """It can't be undone, so the second time does it."""
        number = select_dead(wish.selection, workspace_ids=workspace_ids).count()
        return self._show(request, {"may_change": True, "discarding": number, "wish": wish})


def _wish(request: HttpRequest) -> Wish:
    """The form as the API would have it: ticked items, or the whole group."""
    form = request.POST
    numbers = {name: _number(form[name], name) for name in ("max_tokens", "per_minute") if form.get(name)}
    texts = {name: form[name] for name in ("model", "reason") if form.get(name)}
    ticked = form.getlist("item_ids")
    wish = read_wish({"fingerprint": request.GET.get("group") or None} | ({"item_ids": ticked} if ticked else {}) | numbers | texts)
    if not wish.reason:
        raise WishRefusedError("reason", MISSING)
    return wish


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise WishRefusedError(name, f"{name} must be a whole number.")
    return int(text)


def _number_of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
