"""Addresses of budgets."""

from django.urls import path

from apps.spend.views import BudgetsView, BudgetTopUpView, BudgetView

urlpatterns = [
    path("api/budgets", BudgetsView.as_view(), name="budgets"),
    path("api/budgets/<str:budget_id>", BudgetView.as_view(), name="budget"),
    path("api/budgets/<str:budget_id>/top_up", BudgetTopUpView.as_view(), name="budget-top-up"),
]
