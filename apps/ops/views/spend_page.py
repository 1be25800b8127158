"""The page of spend in the back office, and its table as a file. What is asked for stands in the address."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.queries import time_zone_of, workspaces_of
from apps.ops.domain.spend_period import Period, choose_period, zone_named
from apps.ops.domain.spend_view import View, read_view
from apps.ops.queries.spend_page import Reader, list_parts, show_spending
from apps.ops.queries.spend_table import spend_table


@require_safe
def spend_overview(request: HttpRequest) -> HttpResponse:
    """What was spent, on what, against which budgets."""
    reader, view, period, complaints = _asked(request)
    shown = show_spending(reader, view, period, wants_moves="moved" in request.GET, now=timezone.now())
    context = admin.site.each_context(request) | {"title": "Spend", "complaints": complaints} | shown
    return TemplateResponse(request, "ops/spend.html", context)


@require_safe
def spend_csv(request: HttpRequest) -> HttpResponse:
    """The page's table, with exact amounts and all its rows (the dearest 10,000 of more)."""
    reader, view, period, _ = _asked(request)
    content = spend_table(*list_parts(reader, view, period), reader=reader, view=view)
    name = f"spend-by-{view.by}-{period.first}-{period.last}.csv"
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _asked(request: HttpRequest) -> tuple[Reader, View, Period, list[str]]:
    reader = Reader(workspaces_of(request.user), is_superuser=bool(request.user.is_superuser), user=request.user)
    pairs = ((name, str(text)) for name, text in request.GET.items())
    view, complaints = read_view(pairs, default_by="feature" if reader.has_one_workspace else "workspace")
    zone = zone_named("UTC" if view.is_by_users else time_zone_of(reader.shown_workspaces(view)))
    period, complaint = choose_period(view.period, first=view.days[0], last=view.days[1], zone=zone, now=timezone.now())
    return reader, view, period, [*complaints, *([complaint] if complaint else [])]
