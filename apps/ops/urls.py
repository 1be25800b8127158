"""At the root: for machines that watch. And pages of the back office whose work is over many apps."""

from django.conf import settings
from django.contrib import admin
from django.urls import path

from apps.ops import views
from apps.ops.views import consistency, spend_page, spending

_OFFICE = settings.ADMIN_PATH.removeprefix("/")

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    # Sums of charges, with names that the apps above them give.
    path("api/spend", spending.SpendView.as_view(), name="spend"),
    path("api/spend/parts", spending.SpendPartsView.as_view(), name="spend-parts"),
    path("api/spend/parts.csv", spending.SpendPartsTableView.as_view(), name="spend-parts-table"),
    path("api/spend/course", spending.SpendCourseView.as_view(), name="spend-course"),
    path("api/spend/course.csv", spending.SpendCourseTableView.as_view(), name="spend-course-table"),
    path("api/spend/movers", spending.SpendMoversView.as_view(), name="spend-movers"),
    # Below the workspace's own page, but the work is over many apps.
    path(
        f"{_OFFICE}accounts/workspace/<uuid:workspace_id>/erase/",
        admin.site.admin_view(views.erase_workspace),
        name="accounts_workspace_erase",
    ),
    # On the page of what looks have found; a look is over many apps.
    path(
        f"{_OFFICE}conversations/probe/now/",
        admin.site.admin_view(consistency.look_now),
        name="conversations_probe_now",
    ),
    # Sums of charges, with the names that the apps above have for what they were for.
    path(f"{_OFFICE}spend/charge/overview/", admin.site.admin_view(spend_page.spend_overview), name="spend_charge_overview"),
    path(f"{_OFFICE}spend/charge/overview/csv/", admin.site.admin_view(spend_page.spend_csv), name="spend_charge_overview_csv"),
]
