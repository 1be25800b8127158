"""`/api/budgets`: what a workspace may spend, and how it stands. Reading wants the scope `spend`, changing also `admin`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of, require_scope
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.spend import actions
from apps.spend.domain.budgets import Owner, ScopeKind
from apps.spend.models import Budget
from apps.spend.queries import budgets_of, find_own_budget, show_budgets
from apps.spend.serializers import BudgetChangeSerializer, BudgetSerializer, NewBudgetSerializer, TopUpSerializer


@extend_schema_view(get=extend_schema(operation_id="list_budgets", tags=["budgets"]))
class BudgetsView(ListAPIView[Budget]):
    """The workspace's budgets and those of its users, keys, features and jobs, newest first, with their present periods."""

    required_scope = "spend"
    queryset = Budget.objects.none()
    serializer_class = BudgetSerializer
    pagination_class = CursorPages

    def get_queryset(self) -> QuerySet[Budget]:
        return budgets_of(key_of(self.request).workspace_id)

    def get_serializer(self, *args: Any, **options: Any) -> Any:
        shown = [show_budgets(list(rows), now=timezone.now()) for rows in args]
        return super().get_serializer(*shown, **options)

    @extend_schema(
        operation_id="create_budget",
        tags=["budgets"],
        request=NewBudgetSerializer,
        responses={200: BudgetSerializer, 201: BudgetSerializer},
    )
    def post(self, request: Request) -> Response:
        """Bound the workspace, or a user, key, feature or job of it. Needs the scope `admin`. 200: it was there, and is as asked now."""
        key = key_of(request)
        require_scope(key, "admin")
        wanted = NewBudgetSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        owner = _owner(key.workspace_id, values)
        wish = {"period": values["period"], "cap_usd": values["cap_usd"], "is_hard": values["hard"]}
        made = actions.set_budget(owner=owner, **wish, reason=values.get("reason", ""))
        return _tell(made.budget, status=201 if made.is_new else 200)


class BudgetView(APIView):
    """One budget."""

    required_scope = "spend"

    @extend_schema(operation_id="retrieve_budget", tags=["budgets"], responses=BudgetSerializer)
    def get(self, request: Request, budget_id: str) -> Response:
        return _tell(_budget(request, budget_id))

    @extend_schema(operation_id="change_budget", tags=["budgets"], request=BudgetChangeSerializer, responses=BudgetSerializer)
    def patch(self, request: Request, budget_id: str) -> Response:
        """Raise or lower it, make it hard or soft, switch it on or off: at once. Needs the scope `admin`."""
        budget = _budget(request, budget_id)
        require_scope(key_of(request), "admin")
        wanted = BudgetChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        changed, _ = actions.change_budget(budget_id=budget.id, values=values, reason=values.get("reason", ""))
        return _tell(changed)


class BudgetTopUpView(APIView):
    """More for the present period alone; the next one has the cap again. Needs the scope `admin`."""

    required_scope = "spend"

    @extend_schema(operation_id="top_up_budget", tags=["budgets"], request=TopUpSerializer, responses=BudgetSerializer)
    def post(self, request: Request, budget_id: str) -> Response:
        budget = _budget(request, budget_id)
        require_scope(key_of(request), "admin")
        wanted = TopUpSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        actions.top_up_budget(budget_id=budget.id, amount_usd=values["amount_usd"], now=timezone.now(), reason=values.get("reason", ""))
        return _tell(budget)


def _budget(request: Request, budget_id: str) -> Budget:
    return find_own_budget(workspace_id=key_of(request).workspace_id, public_id=budget_id)


def _tell(budget: Budget, *, status: int = 200) -> Response:
    (shown,) = show_budgets([budget], now=timezone.now())
    return Response(BudgetSerializer(shown).data, status=status)


def _owner(workspace_id: UUID, values: Mapping[str, Any]) -> Owner:
    """Whom the request means; always within the key's workspace."""
    scope, name = values["scope"], values.get("name", "")
    if scope == ScopeKind.WORKSPACE:
        if name:
            raise ApiError(400, "invalid_value", "A budget of the workspace takes no name: it is the key's own.", param="name")
        return Owner(scope, workspace_id=workspace_id)
    if scope in {ScopeKind.USER, ScopeKind.FEATURE}:
        return Owner(scope, workspace_id=workspace_id, subject=name)
    prefix = "key_" if scope == ScopeKind.API_KEY else "batch_"
    row_id = parse_public_id(prefix, name)
    if row_id is None:
        raise ApiError(400, "invalid_value", f"A budget of this scope needs an id as its name: {prefix}...", param="name")
    if scope == ScopeKind.API_KEY:
        return Owner(scope, workspace_id=workspace_id, api_key_id=row_id)
    return Owner(scope, workspace_id=workspace_id, job_id=row_id)
