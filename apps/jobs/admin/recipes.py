"""Recipes in the back office: what each number says, what is different, another number, archive."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.http import require_safe
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import Audited, ByWorkspace, MadeByMembers, ReadOnly, WorkspaceFilter
from apps.accounts.queries import workspaces_for_submitting
from apps.jobs import actions
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.domain.recipe_difference import compare_plans
from apps.jobs.forms.recipes import KINDS, RecipeForm, initial_of, kind_of
from apps.jobs.models import Recipe
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import find_uuid
from apps.providers.queries import list_callable

_SHOWN = 50


class _Numbers(admin.SimpleListFilter):
    """The newest number of each name, unless all are asked for."""

    title = "numbers"
    parameter_name = "numbers"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 -- Django's signature
        return [("all", "all")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Nothing said is the newest, not all."""
        for choice, title in zip(super().choices(changelist), ("newest", "all"), strict=True):
            yield choice | {"display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Recipe]) -> QuerySet[Recipe]:  # noqa: ARG002 -- Django's signature
        if self.value() == "all":
            return queryset
        later = Recipe.objects.filter(workspace=OuterRef("workspace"), name=OuterRef("name"), number__gt=OuterRef("number"))
        return queryset.exclude(Exists(later))


@admin.register(Recipe)
class RecipeAdmin(MadeByMembers, Audited, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """A workspace's recipes. Its members declare and archive them; the actions write it down."""

    asks_why = False
    list_display = ("named", "workspace", "kind", "models_asked", "standing", "description", "created_at")
    list_filter = (_Numbers, "kind", ("workspace", WorkspaceFilter))
    list_select_related = ("workspace",)
    search_fields = ("name", "description")
    ordering = ("name", "-number")
    actions = None
    change_form_outer_before_template = "jobs/recipe.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "No recipe here yet. Add one: it says how documents become answers, and jobs of documents go by it."
    fields = (("named", "workspace"), "description", ("kind", "standing"), ("public_id", "created_at"), ("created_by", "archived_at"))
    readonly_fields = ("named", "standing", "public_id", "created_at", "archived_at")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:recipe_id>/archive/", view(self.archive), name="jobs_recipe_archive"),
            path("<uuid:recipe_id>/compare/", view(require_safe(self.compare)), name="jobs_recipe_compare"),
            *super().get_urls(),
        ]

    @admin.display(description="recipe", ordering="name")
    def named(self, recipe: Recipe) -> str:
        return str(recipe)

    @admin.display(description="models")
    def models_asked(self, recipe: Recipe) -> str:
        plan = load_plan(recipe.plan)
        return ", ".join(dict.fromkeys([*filter(None, [plan.policy.first_model]), *(step.model for step in plan.steps)]))

    @display(description="state", label={"can be used": "success", "archived": "warning"})  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, recipe: Recipe) -> str:
        return "archived" if recipe.archived_at else "can be used"

    # --- changes ------------------------------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002 -- Django's signature
        """`?kind=ask`: the form of that kind; `?of=<id>`: filled in with what a recipe says; without either, the kinds to choose from."""
        if not self.has_add_permission(request):
            raise PermissionDenied("Your role lets you look, not declare recipes.")
        model = self._model_recipe(request)
        told = orjson.loads(model.declared) if model else {}
        kind = kind_of(model.kind, told) if model else KINDS.get(request.GET.get("kind", ""))
        if kind is None:
            return self.page(request, "jobs/recipe_kinds.html", title="New recipe", kinds=KINDS.values())
        named = {"workspace": model.workspace_id, "name": model.name, "description": model.description} if model else {}
        models = [callable_model.name for callable_model in list_callable()]
        form = RecipeForm(
            request.POST or None,
            kind=kind,
            models=models,
            workspaces=workspaces_for_submitting(request.user),
            initial=(named | initial_of(kind, told)) if model else {},
        )
        if request.method == "POST" and form.is_valid() and (recipe := _declared(request, form)):
            return self.back(recipe)
        title = f"Another number of {model.name}" if model else f"New recipe: {kind.title.lower()}"
        return self.page(request, "jobs/recipe_form.html", title=title, form=form, kind=kind, has_models=bool(models), model=model)

    def archive(self, request: HttpRequest, recipe_id: UUID) -> HttpResponse:
        """Ask first; then new jobs can't use this number."""
        recipe = self._recipe(request, recipe_id)
        if not self.may_change(request, recipe):
            messages.error(request, "Members of the workspace change its recipes; your role lets you look.")
            return self.back(recipe)
        if request.method != "POST":
            return self.page(request, "jobs/recipe_archive.html", title=f"Archive {recipe}?", recipe=recipe)
        actions.archive_recipe(workspace_id=recipe.workspace_id, recipe_id=recipe.pk, now=current_time())
        messages.success(request, f"{recipe} is archived: new jobs can't use it.")
        return self.back(recipe)

    # --- pages --------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        recipe = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if recipe:
            context = {
                "recipe": recipe,
                "plan": load_plan(recipe.plan),
                "numbers": list(_numbers(recipe)[:_SHOWN]),
                "may_change": self.may_change(request, recipe),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def compare(self, request: HttpRequest, recipe_id: UUID) -> HttpResponse:
        """`?before=1&after=2`; this number and the one before it when nothing is said."""
        recipe = self._recipe(request, recipe_id)
        numbers = list(_numbers(recipe).values_list("number", flat=True)[:_SHOWN])
        after = _of_number(recipe, request.GET.get("after") or str(recipe.number))
        before = _of_number(recipe, request.GET.get("before") or str(max(1, (after.number if after else 1) - 1)))
        if after is None or before is None:
            raise Http404
        parts = compare_plans(_plan(before), _plan(after))
        context = {"recipe": recipe, "before": before, "after": after, "parts": parts, "numbers": numbers}
        return self.page(request, "jobs/recipe_compare.html", title=f"Numbers of {recipe.name}", **context)

    def _model_recipe(self, request: HttpRequest) -> Recipe | None:
        """What another number begins with: one of a workspace that the user may declare recipes in."""
        if "of" not in request.GET:
            return None
        mine: QuerySet[Recipe] = self.get_queryset(request).filter(workspace__in=workspaces_for_submitting(request.user).values("pk"))
        return get_object_or_404(mine, pk=find_uuid(request.GET["of"]))

    def _recipe(self, request: HttpRequest, recipe_id: UUID) -> Recipe:
        recipe: Recipe = get_object_or_404(self.get_queryset(request), pk=recipe_id)
        return recipe


def _declared(request: HttpRequest, form: RecipeForm) -> Recipe | None:
    """None, with the error on the form, when the recipe was refused."""
    values = form.cleaned_data
    try:
        made = actions.declare_recipe(
            workspace_id=values["workspace"].pk,
            name=values["name"],
            kind=form.kind.kind,
            declared=form.declared(),
            description=values["description"],
            created_by_id=UUID(str(request.user.pk)),
            now=current_time(),
        )
    except ApiError as refused:
        form.refuse(refused.param, refused.message)
        return None
    said = "is declared." if made.is_new else "says that already; nothing was changed."
    messages.success(request, f"{made.recipe} {said}")
    return made.recipe


def _numbers(recipe: Recipe) -> QuerySet[Recipe]:
    """All of the same name, newest first."""
    return Recipe.objects.filter(workspace_id=recipe.workspace_id, name=recipe.name).order_by("-number")


def _of_number(recipe: Recipe, number: str) -> Recipe | None:
    is_number = number.isascii() and number.isdecimal() and len(number) <= 9
    return _numbers(recipe).filter(number=int(number)).first() if is_number else None


def _plan(recipe: Recipe) -> Plan:
    return load_plan(recipe.plan)
