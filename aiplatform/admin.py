"""The back office: one site, in the order in which people look for things."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class BackOffice(UnfoldAdminSite):  # type: ignore[misc]  # unfold ships no types
    """The admin site of aiplatform."""

    index_title = "Home"
    index_template = "ops/dashboard.html"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, with what else signing in takes. Every page of the site asks this first."""
        return bool(super().has_permission(request)) and not self._step(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The sign-in page; whoever has given the password goes on to the second factor."""
        if super().has_permission(request) and self._step(request):
            query = QueryDict(mutable=True)
            query[REDIRECT_FIELD_NAME] = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
            return HttpResponseRedirect(f"{reverse('second-factor')}?{query.urlencode(safe='/')}")
        from apps.accounts.views.sign_in import sign_in_slowly  # noqa: PLC0415 -- this module is imported before the tables are there

        page: HttpResponse = sign_in_slowly(request, partial(super().login, request, extra_context))
        return page

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The theme's page, with a form that writes the change down."""
        from django.contrib.auth.views import PasswordChangeView  # noqa: PLC0415 -- this module is imported before the tables are there

        from apps.accounts.forms import OwnPasswordForm  # noqa: PLC0415 -- as above

        context = self.each_context(request) | (extra_context or {})
        request.current_app = self.name
        done = reverse("admin:password_change_done")
        page: Any = PasswordChangeView.as_view(form_class=OwnPasswordForm, success_url=done, extra_context=context)(request)
        answer: HttpResponse = page
        return answer

    def _step(self, request: HttpRequest) -> str:
        from apps.accounts.permissions import sign_in_step  # noqa: PLC0415 -- this module is imported before the tables are there

        return sign_in_step(request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """The theme's, and what stands on top of every page; that is asked for only where it is shown."""
        from apps.webhooks.queries import read_banner  # noqa: PLC0415 -- this module is imported before the tables are there

        context: dict[str, Any] = super().each_context(request)
        return context | {"alert_banner": SimpleLazyObject(partial(read_banner, request.user))}


class BackOfficeConfig(AdminConfig):
    """Makes BackOffice the default admin site."""

    default_site = "aiplatform.admin.BackOffice"


# Group -> (title, icon, page, for superusers only)
_PAGES = {
    "Work": [
        ("Jobs", "stacks", "jobs_job", False),
        ("Items", "list", "jobs_item", False),
        ("Dead items", "healing", "jobs_item_dead", False),
        ("Prompts", "edit_note", "prompts_prompt", False),
        ("Recipes", "menu_book", "jobs_recipe", False),
        ("Collections", "library_books", "knowledge_collection", False),
        ("Documents", "description", "knowledge_document", False),
        ("Files", "draft", "files_file", False),
        ("Alerts", "notifications", "webhooks_alert", False),
    ],
    "Conversations": [
        ("Conversations", "forum", "conversations_conversation", False),
        ("Remembered", "contacts", "conversations_profile", False),
        ("Consistency", "rule", "conversations_probe", True),
    ],
    "Providers": [
        ("How they stand", "monitor_heart", "providers_provider_desk", True),
        ("Providers", "cloud", "providers_provider", True),
        ("Models", "neurology", "providers_model", True),
    ],
    "Money": [
        ("Spend", "monitoring", "spend_charge_overview", False),
        ("Budgets", "savings", "spend_budget", False),
        ("Charges", "receipt_long", "spend_charge", False),
        ("Prices", "sell", "spend_price", True),
        ("Proof", "balance", "spend_proof", True),
        ("Reconciliation", "compare_arrows", "spend_reconciledday", True),
    ],
    "Traces": [("Runs", "history", "traces_run", False), ("Exchanges", "swap_horiz", "traces_exchange", False)],
    "Webhooks": [
        ("Endpoints", "webhook", "webhooks_endpoint", False),
        ("Deliveries", "outgoing_mail", "webhooks_delivery", False),
    ],
    "Accounts": [
        ("Workspaces", "workspaces", "accounts_workspace", False),
        ("API keys", "key", "accounts_apikey", False),
        ("Users", "person", "accounts_user", True),
        ("Audit log", "policy", "accounts_auditentry", False),
    ],
    "System": [
        ("Pumps", "water_pump", "jobs_pump", True),
        ("Task results", "task", "django_celery_results_taskresult", True),
    ],
}


_OWN_PAGES = {"jobs_item_dead", "providers_provider_desk"}
# Pages over many apps have addresses of their own.
_OUTSIDE = {"spend_charge_overview"}


def _address(page: str) -> str:
    if page in _OUTSIDE:
        return reverse(page)
    return reverse(f"admin:{page}" if page in _OWN_PAGES else f"admin:{page}_changelist")


def _is_active(page: str, request: HttpRequest) -> bool:
    """A page of its own lies below a list, which is then not the one that is open."""
    inner = max((name for name in _OWN_PAGES | _OUTSIDE if request.path.startswith(_address(name))), default=None)
    return page == inner if inner else request.path.startswith(_address(page))


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, without what this user may not open."""
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    flower = {"title": "Flower", "icon": "local_florist", "link": settings.FLOWER_URL}
    groups: list[dict[str, Any]] = [{"items": [home]}]
    for title, pages in _PAGES.items():
        items: list[dict[str, Any]] = [
            {"title": name, "icon": icon, "link": _address(page), "active": partial(_is_active, page)}
            for name, icon, page, is_for_superusers in pages
            if request.user.is_superuser or not is_for_superusers
        ]
        _mark(items, request.path)
        if title == "System" and request.user.is_superuser:
            items.append(flower)
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _mark(items: list[dict[str, Any]], path: str) -> None:
    """The page with the longest address that this one begins with is where somebody is: dead items have a page below that of items."""
    here = max((item["link"] for item in items if path.startswith(item["link"])), key=len, default="")
    for item in items:
        item["active"] = item["link"] == here
