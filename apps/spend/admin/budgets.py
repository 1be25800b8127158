"""Budgets: owners keep those of their workspaces, superusers all; each with what is spent and reserved of it now."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.forms import DecimalField, Form, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import Audited, ByOwners, WorkspaceFilter, reason_of
from apps.accounts.queries import keys_owned_by
from apps.lib.html_parts import NOTHING, dollars
from apps.lib.http_errors import ApiError
from apps.spend.actions import change_budget, refused_of_pause, set_budget, top_up_budget
from apps.spend.domain.budgets import PERIODS, Owner, ScopeKind
from apps.spend.models import Budget, BudgetPeriod
from apps.spend.queries import ShownBudget, show_budget

_FIELDS_OF = {
    "workspace": {"workspace"},
    "user": {"workspace", "subject"},
    "feature": {"workspace", "subject"},
    "api_key": {"workspace", "api_key"},
}
_NEEDED = {"workspace": ("workspace",), "user": ("subject",), "feature": ("subject",), "api_key": ("workspace", "api_key")}
_STATE_COLOURS = {"paused": "danger", "lifted": "info", "open": "success", "nearly used up": "warning", "used up": "danger", "off": "info"}
_NEARLY_PERCENT = 80


class BudgetForm(ModelForm):  # type: ignore[type-arg]  # Django's own form
    """Whom it bounds, for how long, and by how much."""

    class Meta:
        model = Budget
        fields = ("scope", "workspace", "api_key", "subject", "period", "cap_usd", "is_hard", "is_active")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        scope = values.get("scope")
        if (self.instance.pk and "scope" not in self.fields) or scope is None:
            return values
        for name in _NEEDED.get(scope, ()):
            if not values.get(name):
                self.add_error(name, ValidationError(f"A budget of this scope ({ScopeKind(scope).label}) needs it."))
        for name in {"workspace", "api_key", "subject"} - _FIELDS_OF.get(scope, set()):
            if values.get(name):
                self.add_error(name, ValidationError(f"A budget of this scope ({ScopeKind(scope).label}) takes none: leave it empty."))
        key, workspace = values.get("api_key"), values.get("workspace")
        if key and workspace and key.workspace_id != workspace.pk:
            self.add_error("api_key", ValidationError("This key belongs to another workspace."))
        return values


class TopUpForm(Form):
    """How much more."""

    amount_usd = DecimalField(min_value=0, max_digits=20, decimal_places=12)


@admin.register(Budget)
class BudgetAdmin(Audited, ByOwners, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What may be spent. The actions write down what is changed here, and it holds for the next call."""

    form = BudgetForm
    needs_reason = frozenset({"add", "change"})
    list_display = ("whose", "period", "standing", "spent", "bar", "is_hard", "workspace")
    list_filter = ("scope", "period", ("workspace", WorkspaceFilter), "is_active")
    list_select_related = ("workspace", "api_key")
    search_fields = ("subject",)
    ordering = ("-created_at",)
    actions = None
    change_form_outer_before_template = "spend/budget.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "No budget here: nothing bounds what is spent. An owner of a workspace adds one; a job's own comes with its max_cost_usd."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        """Each with its present period, in one more query."""
        present = BudgetPeriod.objects.filter(Q(ends_at=None) | Q(ends_at__gt=Now()), starts_at__lte=Now())
        rows: QuerySet[Budget] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("periods", queryset=present))

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        shown = ("whose", "period", "standing", "spent", "reserved", "bar", "topped_up", "begins", "ends", "created_at")
        if obj is None:
            return ()
        # Only the platform pauses: what was lifted stays so.
        lifted = ("is_active",) if obj.is_pause and not obj.is_active else ()
        return (*shown, "paused_at", "lifted_at", *lifted)

    def get_fields(self, request: HttpRequest, obj: Budget | None = None) -> tuple[Any, ...]:  # noqa: ARG002 -- Django's signature
        if obj is None:
            return ("scope", "workspace", "api_key", "subject", "period", "cap_usd", "is_hard")
        if obj.is_pause:
            return (("whose", "standing"), "is_active", ("paused_at", "lifted_at"))
        return (
            ("whose", "period"), "cap_usd", ("is_hard", "is_active"), "bar", ("standing", "spent"), ("reserved", "topped_up"),
            ("begins", "ends"), "created_at",
        )  # fmt: skip

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A job's budget comes with the job; the platform's is for superusers."""
        if db_field.name == "scope":
            hidden = {ScopeKind.JOB} if request.user.is_superuser else {ScopeKind.JOB, ScopeKind.PLATFORM}
            options["choices"] = [(kind.value, kind.label) for kind in ScopeKind if kind not in hidden]
        if db_field.name == "period":
            options["choices"] = [(kind.value, kind.label) for kind in PERIODS]
        return super().formfield_for_choice_field(db_field, request, **options)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "api_key":
            options["queryset"] = keys_owned_by(request.user)
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "workspace":
            # An owner's budget is always of one workspace; without one it would be everybody's.
            field.required = not request.user.is_superuser
        return field

    def get_urls(self) -> list[Any]:
        top_up = self.admin_site.admin_view(self.top_up)
        return [path("<uuid:budget_id>/top-up/", top_up, name="spend_budget_top_up"), *super().get_urls()]

    # --- what it shows ----------------------------------------------------------------------------------------------

    @admin.display(description="whom it bounds")
    def whose(self, budget: Budget) -> str:
        return budget.whose

    @display(description="state", label=_STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, budget: Budget) -> str:
        if budget.is_pause:
            return "paused" if budget.is_active else "lifted"
        if not budget.is_active:
            return "off"
        percent = _shown(budget).spent_percent
        return "used up" if percent >= 100 else "nearly used up" if percent >= _NEARLY_PERCENT else "open"

    @admin.display(description="spent in this period")
    def spent(self, budget: Budget) -> SafeString | str:
        if budget.is_pause:
            return NOTHING
        shown = _shown(budget)
        return format_html('<span class="whole">{} of {}</span>', dollars(shown.spent), dollars(shown.cap))

    @admin.display(description="used")
    def bar(self, budget: Budget) -> SafeString | str:
        if budget.is_pause:
            return NOTHING
        shown = _shown(budget)
        percent = f"{shown.spent_percent:.0f}"
        return format_html(
            '<progress max="100" value="{}" aria-label="{} % of the budget is spent"></progress> {} %', percent, percent, percent
        )

    @admin.display(description="reserved for calls in the air")
    def reserved(self, budget: Budget) -> str:
        return dollars(_shown(budget).reserved)

    @admin.display(description="topped up in this period")
    def topped_up(self, budget: Budget) -> str:
        return dollars(_shown(budget).topped_up)

    @admin.display(description="this period began")
    def begins(self, budget: Budget) -> Any:
        return _shown(budget).period_starts_at

    @admin.display(description="and ends")
    def ends(self, budget: Budget) -> Any:
        return _shown(budget).period_ends_at or "never"

    # --- changes ----------------------------------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Ledgers refer to it: it is switched off."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        budget = self.get_object(request, object_id)
        context = {"budget": budget, "may_change": self.has_change_permission(request, budget)} if budget else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 -- Django's signature
        if change:
            change_budget(budget_id=obj.pk, values=form.cleaned_data, reason=form.cleaned_data["reason"])
            return
        owner = Owner(obj.scope, workspace_id=obj.workspace_id, api_key_id=obj.api_key_id, subject=obj.subject)
        # The page goes on with the row that the action made.
        values: dict[str, Any] = {"period": obj.period, "cap_usd": obj.cap_usd, "is_hard": obj.is_hard}
        obj.pk = set_budget(owner=owner, **values, reason=form.cleaned_data["reason"]).budget.pk

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def top_up(self, request: HttpRequest, budget_id: UUID) -> HttpResponse:
        """More for the present period alone; the page says what it will be, and asks."""
        budget = get_object_or_404(self.get_queryset(request), pk=budget_id)
        page = reverse("admin:spend_budget_change", args=[budget.pk])
        if not self.has_change_permission(request, budget):
            messages.error(request, "Owners of the workspace keep its budgets; your role lets you look.")
            return HttpResponseRedirect(page)
        if budget.is_pause:
            messages.error(request, refused_of_pause().message)
            return HttpResponseRedirect(page)
        form = TopUpForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                amount = form.cleaned_data["amount_usd"]
                top_up_budget(budget_id=budget.pk, amount_usd=amount, now=timezone.now(), reason=reason_of(request))
                messages.success(request, f"{dollars(amount)} more until the period ends. What had waited for it goes on.")
                return HttpResponseRedirect(page)
            except ApiError as refused:
                form.add_error(None if refused.param == "reason" else "amount_usd", refused.message)
        context = {"title": f"Top up: {budget}", "budget": budget, "shown": _shown(budget), "form": form}
        return TemplateResponse(request, "spend/top_up.html", self.admin_site.each_context(request) | context)


def _shown(budget: Budget) -> ShownBudget:
    known: ShownBudget | None = getattr(budget, "shown", None)
    if known is None:
        known = show_budget(budget, next(iter(budget.periods.all()), None), now=timezone.now())
        budget.shown = known  # type: ignore[attr-defined]  # for the other columns of the row
    return known
