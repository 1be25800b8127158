"""Who gets what answer on every page of the back office, and that nothing of another workspace stands in any of them.

The pages come from the URLconf: one that no line of ANSWERS is for fails here, and so does a model of which the world below has no row.
Every text of the workspace `acme` is a canary, so that a row, a name or a number that gets out is found wherever it stands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts.models import ActorKind, AuditEntry, Role, Workspace
from apps.accounts.permissions import ByWorkspace
from apps.conversations.actions import record_probe
from apps.conversations.models import Conversation, Turn
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.knowledge.models import Collection
from apps.lib.ids import uuid7
from apps.prompts.models import Prompt
from apps.providers.models import Target
from apps.spend.actions import reconcile, record_proof
from apps.spend.domain.proof import Sums
from apps.spend.domain.usage_export import UsedOnDay
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile, make_turn
from tests.factories.jobs import make_job, make_pump
from tests.factories.knowledge import make_collection, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.recipes import make_recipe
from tests.factories.webhooks import make_delivery
from tests.faults import figure
from tests.spend.purses import make_budget

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

CANARY = "canary"
NUMBER = 918273645
_NUMBER_SHOWN = re.compile("918.?273.?645")
# Recipes never change, and what is remembered is what its events come to.
_NEVER_CHANGED = {("recipe", name) for name in ("name", "kind", "declared", "plan")} | {("profile", "memory"), ("profile", "seq")}
STRANGERS = ("stranger", "outsider")
_LOOKED_AT = ("conversations", "turns", "profiles", "events", "retrievals", "open_turns")
# Pages that are found among those of another model than the one whose rows they show; how some name theirs; what some must be sent.
_ROWS_OF_OTHERS = {**dict.fromkeys(("chat", "chat_say", "chat_fork", "chat_delete"), Conversation), "search": Collection, "try": Prompt,
                   "switch_target": Target}  # fmt: skip
_ASKED_BY_QUERY = {"try": "?prompt={}&version=1"}
_FORMS = {"chat_fork": {"version": "1"}}
PEOPLE = ("anonymous", *STRANGERS, "viewer", "member", "owner", "superuser")


@dataclass(frozen=True)
class Page:
    """One address of the back office: what it is to the site, the model whose pages it is among, and the pattern of its path."""

    kind: str
    model: Any
    route: str

    @property
    def has_row(self) -> bool:
        return "<" in self.route or self.kind in _ASKED_BY_QUERY

    @property
    def row_model(self) -> Any:
        """What its rows are: some pages show those of another model, whose id their address names."""
        return _ROWS_OF_OTHERS.get(self.kind, self.model)

    @property
    def form(self) -> dict[str, str]:
        """Without which a POST would be refused for what it lacks, whoever sends it."""
        return _FORMS.get(self.kind, {})

    def path(self, key: object) -> str:
        return "/" + re.sub("<[^>]*>", str(key), self.route) + _ASKED_BY_QUERY.get(self.kind, "").format(key)


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.name or "bare"


def pages() -> list[Page]:
    """Every page of the back office that belongs to a model."""
    labels = {f"admin/{model._meta.app_label}/{model._meta.model_name}/": model for model in admin.site._registry}
    found = []
    for route, name in _patterns(get_resolver()):
        prefix = next((prefix for prefix in labels if route.startswith(prefix)), None)
        if prefix:
            model = labels[prefix]
            kind = name.removeprefix(f"{model._meta.app_label}_{model._meta.model_name}_")
            found.append(Page(kind=kind, model=model, route=route))
    return found


def site_pages() -> set[str]:
    """Every other address below admin/."""
    return {route for route, _ in _patterns(get_resolver()) if route.startswith("admin/")} - {page.route for page in pages()}


def is_scoped(model: Any) -> bool:
    return isinstance(admin.site._registry[model], ByWorkspace)


# --- the world ------------------------------------------------------------------------------------------------------


def _poison(row: models.Model) -> None:
    """A canary in every text of the row, and a number that is nowhere else in every sum."""
    values: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        word = f"{CANARY}-{row._meta.model_name}-{field.name}"
        if (row._meta.model_name, field.name) in _NEVER_CHANGED:
            continue
        if field.choices or field.is_relation or field.primary_key or field.unique or field.name in {"time_zone", "storage_key"}:
            continue
        if isinstance(field, models.JSONField):
            values[field.name] = {word: word}
        elif isinstance(field, models.CharField | models.TextField) and not hasattr(field, "base_field"):
            values[field.name] = word[: field.max_length or None]
        elif isinstance(field, models.BigIntegerField | models.DecimalField):
            values[field.name] = NUMBER if isinstance(field, models.BigIntegerField) else Decimal(NUMBER) / 10
    type(row)._default_manager.filter(pk=row.pk).update(**values)


def make_world() -> dict[Any, models.Model]:
    """A row of every model, those that belong to somebody in the workspace `acme`; and a row of each in `other`."""
    for name in ("other", "acme"):
        workspace = make_workspace(name)
        make_job(workspace=workspace)
        make_api_key(workspace)
        make_delivery(workspace)
        make_alert(workspace)
        make_turn(make_conversation(workspace))
        make_version(make_prompt(workspace))
        upload("Text.", collection=make_collection(workspace))
        # What a recipe says never changes, so it is born with its canaries.
        word = f"{CANARY}-recipe" if name == "acme" else "harmless"
        make_recipe(workspace, name=word, kind="steps", plan=Plan((Step(word, Each.DOCUMENT, word, word),)))
        make_profile(workspace, "ada", name=word)
        make_budget("workspace", workspace=workspace, period="day")
        word = f"{CANARY}-audit" if name == "acme" else "harmless"
        texts = dict.fromkeys(("actor_label", "verb", "object_type", "object_label", "reason", "request_id", "address"), word)
        AuditEntry.objects.create(
            actor_kind=ActorKind.USER, object_id=word, workspace=workspace, changes={word: {"before": word, "after": word}}, **texts
        )
    make_pump()
    _make_platform_rows()
    make_user("insider", acme=Role.VIEWER)
    rows: dict[Any, models.Model] = {}
    for model, page in admin.site._registry.items():
        if not is_scoped(model):
            row = model._default_manager.first()
        else:
            to_workspace = getattr(page, "workspace_path", "")
            mine = model._default_manager.filter(**({f"{to_workspace}__name": "acme"} if to_workspace else {"name": "acme"}))
            for row in mine if model not in {AuditEntry, Workspace} else ():
                _poison(row)
            row = mine.first()
        assert row is not None, f"make a {model._meta.label} in make_world"
        rows[model] = row
    # What is on pages of others.
    for turn in Turn.objects.filter(workspace__name="acme"):
        _poison(turn)
    rows[Target] = Target.objects.get()
    Workspace.objects.filter(name="acme").update(name=f"{CANARY}-workspace")
    return rows


def _make_platform_rows() -> None:
    from django.contrib.auth.models import Group
    from django_celery_results.models import TaskResult

    TaskResult.objects.create(task_id=str(uuid4()), task_name="jobs.sweep")
    Group.objects.create(name="a group")
    record_proof(sums=Sums(0, *[Decimal(0)] * 6, 0, 0, 0, 0, []), checked_at=timezone.now(), seconds=0.1)
    record_probe(counts=dict.fromkeys(_LOOKED_AT, 1), findings=[], checked_at=timezone.now(), seconds=0.1)
    reconcile(provider_id=uuid7(), used=[UsedOnDay(timezone.now().date(), "m", 0, 0, 0, 0, Decimal(0))], source="usage.csv")


def sign_in(who: str) -> Client:
    """A browser of one of PEOPLE; call it before the world is made, which renames acme."""
    if who == "anonymous":
        return Client()
    if who == "superuser":
        return make_office_client()
    roles = {
        "outsider": {"other": Role.OWNER},
        "viewer": {"acme": Role.VIEWER},
        "member": {"acme": Role.MEMBER},
        "owner": {"acme": Role.OWNER},
    }
    return make_office_client(make_user(who, is_superuser=False, is_staff=True, **roles.get(who, {})))


def ask(client: Client, method: str, path: str, data: dict[str, Any] | None = None) -> tuple[int, str]:
    """(status, everything that came: headers and the body to its end); what it wrote is taken back."""
    with transaction.atomic():
        answer: Any = getattr(client, method.lower())(path, data or {})
        body = b"".join(answer) if answer.streaming else answer.content
        transaction.set_rollback(True)
    return answer.status_code, f"{dict(answer.headers)} {body.decode('utf-8', 'replace')}"


def leaks(text: str) -> list[str]:
    return sorted({*re.findall(rf"{CANARY}[-\w]*", text), *_NUMBER_SHOWN.findall(text)})


# --- the answers ----------------------------------------------------------------------------------------------------

# A row that isn't theirs answers people as an id that never was: 404, or Django's way back to the start with a message.
GONE = {302, 404}
# (scope, kind, method): what anonymous | stranger | outsider | viewer | member | owner | superuser get. "gone": see GONE.
_MATRIX = """
platform changelist                 GET   302 403  403  403 403 403 200
platform changelist                 POST  302 403  403  403 403 403 200
platform add                        GET   302 403  403  403 403 403 200
platform add                        POST  302 403  403  403 403 403 200
platform history                    GET   302 own  own  own own own own
platform history                    POST  302 own  own  own own own own
platform delete                     GET   302 403  403  403 403 403 200
platform delete                     POST  302 403  403  403 403 403 200
platform change                     GET   302 403  403  403 403 403 200
platform change                     POST  302 403  403  403 403 403 200
platform prices                     GET   302 403  403  403 403 403 200
platform prices                     POST  302 403  403  403 403 403 302
platform desk                       GET   302 403  403  403 403 403 200
platform desk                       POST  302 403  403  403 403 403 200
platform switch                     GET   302 403  403  403 403 403 200
platform switch                     POST  302 403  403  403 403 403 302
platform switch_target              GET   302 403  403  403 403 403 200
platform switch_target              POST  302 403  403  403 403 403 302
platform now                        GET   302 405  405  405 405 405 405
platform now                        POST  302 403  403  403 403 403 302
platform bare                       GET   302 302  302  302 302 302 302
platform bare                       POST  302 302  302  302 302 302 302
platform auth_user_password_change  GET   302 403  403  403 403 403 200
platform auth_user_password_change  POST  302 403  403  403 403 403 200
scoped   changelist                 GET   302 200  200  200 200 200 200
scoped   changelist                 POST  302 200  200  200 200 200 200
scoped   add                        GET   302 403  403  403 403 403 403
scoped   add                        POST  302 403  403  403 403 403 403
scoped   history                    GET   302 gone gone own own own own
scoped   history                    POST  302 gone gone own own own own
scoped   delete                     GET   302 gone gone 403 403 403 403
scoped   delete                     POST  302 gone gone 403 403 403 403
scoped   change                     GET   302 gone gone 200 200 200 200
scoped   change                     POST  302 gone gone 403 403 403 403
scoped   bare                       GET   302 gone gone 302 302 302 302
scoped   bare                       POST  302 gone gone 302 302 302 302
scoped   progress                   GET   302 404  404  200 200 200 200
scoped   progress                   POST  302 404  404  200 200 200 200
scoped   pause                      GET   302 405  405  405 405 405 405
scoped   pause                      POST  302 404  404  302 302 302 302
scoped   resume                     GET   302 405  405  405 405 405 405
scoped   resume                     POST  302 404  404  302 302 302 302
scoped   cancel                     GET   302 404  404  200 200 200 200
scoped   cancel                     POST  302 404  404  302 302 302 302
scoped   new                        GET   302 403  200  403 200 200 200
scoped   new                        POST  302 403  200  403 200 200 200
scoped   dead                       GET   302 200  200  200 200 200 200
scoped   dead                       POST  302 403  302  403 302 302 302
scoped   by_model                   GET   302 200  200  200 200 200 200
scoped   by_model                   POST  302 200  200  200 200 200 200
scoped   download                   GET   302 404  404  200 200 200 200
scoped   download                   POST  302 404  404  200 200 200 200
scoped   new_documents              GET   302 403  200  403 200 200 200
scoped   new_documents              POST  302 403  200  403 200 200 200
scoped   documents                  GET   302 404  404  200 200 200 200
scoped   documents                  POST  302 405  405  405 405 405 405
scoped   answer                     GET   302 404  404  302 302 302 302
scoped   answer                     POST  302 404  404  302 302 302 302
scoped   rerun                      GET   302 404  404  200 200 200 200
scoped   rerun                      POST  302 404  404  302 302 302 302
scoped   lane                       GET   302 405  405  405 405 405 405
scoped   lane                       POST  302 404  404  302 302 302 302
scoped   errors                     GET   302 404  404  200 200 200 200
scoped   errors                     POST  302 404  404  200 200 200 200
scoped   discard                    GET   302 404  404  302 200 200 200
scoped   discard                    POST  302 404  404  302 302 302 302
scoped   test                       GET   302 405  405  405 405 405 405
scoped   test                       POST  302 404  404  302 302 302 302
scoped   rotate                     GET   302 404  404  302 302 200 200
scoped   rotate                     POST  302 404  404  302 302 200 200
scoped   again                      GET   302 405  405  405 405 405 405
scoped   again                      POST  302 404  404  302 302 302 302
scoped   top_up                     GET   302 404  404  302 302 200 200
scoped   top_up                     POST  302 404  404  302 302 200 200
scoped   acknowledge                GET   302 405  405  405 405 405 405
scoped   acknowledge                POST  302 404  404  302 302 302 302
scoped   erase                      GET   302 404  404  404 404 200 200
scoped   erase                      POST  302 404  404  404 404 200 200
scoped   content                    GET   302 404  404  200 200 200 200
scoped   content                    POST  302 404  404  200 200 200 200
scoped   draft                      GET   302 404  404  302 200 200 200
scoped   draft                      POST  302 404  404  302 200 200 200
scoped   publish                    GET   302 404  404  302 200 200 200
scoped   publish                    POST  302 404  404  302 302 302 302
scoped   upload                     GET   302 404  404  302 200 200 200
scoped   upload                     POST  302 404  404  302 200 200 200
scoped   describe                   GET   302 404  404  302 200 200 200
scoped   describe                   POST  302 404  404  302 302 302 302
scoped   chat_new                   GET   302 404  200  404 200 200 200
scoped   chat_new                   POST  302 404  200  404 200 200 200
scoped   chat                       GET   302 404  404  200 200 200 200
scoped   chat                       POST  302 404  404  200 200 200 200
scoped   chat_say                   GET   302 405  405  405 405 405 405
scoped   chat_say                   POST  302 404  404  403 400 400 400
scoped   chat_fork                  GET   302 405  405  405 405 405 405
scoped   chat_fork                  POST  302 404  404  404 302 302 302
scoped   chat_delete                GET   302 404  404  302 200 200 200
scoped   chat_delete                POST  302 404  404  302 302 302 302
scoped   search                     GET   302 404  404  200 200 200 200
scoped   search                     POST  302 405  405  405 405 405 405
scoped   set                        GET   302 404  404  302 200 200 200
scoped   set                        POST  302 404  404  302 200 200 200
scoped   forget                     GET   302 404  404  302 302 302 302
scoped   forget                     POST  302 404  404  302 302 302 302
scoped   rebuild                    GET   302 405  405  405 405 405 405
scoped   rebuild                    POST  302 404  404  302 302 302 302
scoped   archive                    GET   302 404  404  302 200 200 200
scoped   archive                    POST  302 404  404  302 302 302 302
scoped   compare                    GET   302 404  404  200 200 200 200
scoped   compare                    POST  302 405  405  405 405 405 405
scoped   try                        GET   302 404  404  404 200 200 200
scoped   try                        POST  302 404  404  404 200 200 200
scoped   overview                   GET   302 200  200  200 200 200 200
scoped   overview                   POST  302 405  405  405 405 405 405
scoped   overview_csv               GET   302 200  200  200 200 200 200
scoped   overview_csv               POST  302 405  405  405 405 405 405
"""
ANSWERS = {tuple(line.split()[:3]): dict(zip(PEOPLE, line.split()[3:], strict=True)) for line in _MATRIX.strip().splitlines()}
# Where one model differs from the others of its kind: forms that owners have, and records that nobody adds, changes or deletes.
_RECORDS = ("pump", "taskresult", "proof", "reconciledday", "probe")
_EXCEPTIONS: dict[tuple[str, str, str], dict[str, str]] = {
    ("apikey", "add", "GET"): {"outsider": "200", "owner": "200", "superuser": "200"},
    ("apikey", "add", "POST"): {"outsider": "200", "owner": "200", "superuser": "200"},
    **{("endpoint", "add", method): {"outsider": "200", "owner": "200", "superuser": "200"} for method in ("GET", "POST")},
    **{("budget", "add", method): {"outsider": "200", "owner": "200", "superuser": "200"} for method in ("GET", "POST")},
    ("budget", "change", "POST"): {"owner": "200", "superuser": "200"},
    **{("endpoint", "delete", method): {"owner": "200", "superuser": "200"} for method in ("GET", "POST")},
    ("endpoint", "change", "POST"): {"owner": "200", "superuser": "200"},
    **{
        (model, "add", method): {"outsider": "200", "member": "200", "owner": "200", "superuser": "200"}
        for model in ("prompt", "collection", "recipe")
        for method in ("GET", "POST")
    },
    ("workspace", "add", "GET"): {"superuser": "200"},
    ("workspace", "add", "POST"): {"superuser": "200"},
    ("apikey", "change", "POST"): {"owner": "200", "superuser": "200"},
    # To its chat page.
    **{("conversation", "change", method): dict.fromkeys(("viewer", "member", "owner", "superuser"), "302") for method in ("GET", "POST")},
    ("workspace", "change", "POST"): {"owner": "200", "superuser": "200"},
    **{(model, "add", method): {"superuser": "403"} for model in _RECORDS for method in ("GET", "POST")},
    **{(model, "delete", method): {"superuser": "403"} for model in _RECORDS for method in ("GET", "POST")},
    **{("price", "delete", method): {"superuser": "403"} for method in ("GET", "POST")},
    **{(model, "change", "POST"): {"superuser": "403"} for model in (*_RECORDS, "price")},
}  # fmt: skip
_STATUSES = {"gone": GONE | {403}, "own": {200, 302, 403}}
# Addresses of the site itself: they show nothing of a workspace to whoever isn't in it.
SITE = {
    "admin/", "admin/login/", "admin/logout/", "admin/password_change/", "admin/password_change/done/", "admin/autocomplete/",
    "admin/jsi18n/", "admin/search/", "admin/second-factor/", "admin/r/<path:content_type_id>/<path:object_id>/", "admin/(?P<url>.*)$",
}  # fmt: skip


def expected(page: Page, method: str, who: str) -> set[int]:
    scope = "scoped" if is_scoped(page.model) else "platform"
    answer = ANSWERS[scope, page.kind, method][who]
    answer = _EXCEPTIONS.get((str(page.model._meta.model_name), page.kind, method), {}).get(who, answer)
    return _STATUSES[answer] if answer in _STATUSES else {int(answer)}


def _snapshot(rows: dict[Any, models.Model]) -> list[Any]:
    return [list(model.objects.filter(pk=row.pk).values()) for model, row in rows.items() if model._meta.model_name != "user"]


def _requests(rows: dict[Any, models.Model]) -> Iterator[tuple[Page, str, str]]:
    for page in pages():
        for method in ("GET", "POST"):
            yield page, method, page.path(rows[page.row_model].pk)


def test_every_page_has_its_line() -> None:
    kinds = {("scoped" if is_scoped(page.model) else "platform", page.kind, method) for page in pages() for method in ("GET", "POST")}
    assert kinds - set(ANSWERS) == set(), "add the new page to _MATRIX"
    assert {route for route in site_pages() if "app_label" not in route} == SITE, "add the new address to SITE"


def test_every_page_is_there_for_somebody() -> None:
    """Of one that is asked by the id of another thing all cells say 404, and the tests below prove nothing."""
    found = {(page.model._meta.model_name, page.kind): set[int]() for page in pages()}
    for page in pages():
        found[page.model._meta.model_name, page.kind] |= expected(page, "GET", "superuser") | expected(page, "POST", "superuser")
    assert [page for page, statuses in found.items() if statuses <= {404, 405}] == []


@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_gets_the_answer_that_is_theirs_and_strangers_nothing_of_the_workspace(who: str) -> None:
    client = sign_in(who)
    rows = make_world()
    others = []
    found = []
    asked = 0
    for page, method, path in _requests(rows):
        status, text = ask(client, method, path, page.form if method == "POST" else None)
        asked += 1
        if status not in expected(page, method, who):
            others.append((method, page.route, status, expected(page, method, who)))
        if who in {"anonymous", *STRANGERS}:
            found += [(method, path, status, leak) for leak in leaks(text)]
    figure("Pages", f"{who}: {asked} cells, wrong {len(others)}, leaks {len(found)}")
    assert (others, found) == ([], [])


@pytest.mark.parametrize("who", ["anonymous", *STRANGERS])
def test_nothing_of_another_workspace_stands_on_the_pages_of_the_site(who: str) -> None:
    client = sign_in(who)
    make_world()
    found = []
    for route in sorted(site_pages()):
        status, text = ask(client, "GET", "/" + re.sub("<[^>]*>", "1", route))
        found += [("GET", route, status, leak) for leak in leaks(text)]
    assert found == []


def test_the_canaries_show_to_those_who_may_see_them() -> None:
    """Else the tests around would prove nothing."""
    client = sign_in("viewer")
    rows = make_world()
    silent = []
    for page, method, path in _requests(rows):
        if method != "GET" or page.kind not in {"changelist", "change"} or not is_scoped(page.model):
            continue
        _, text = ask(client, method, path)
        # A row whose page is another one.
        if leads_to := re.search(r"'Location': '([^']+)'", text):
            _, text = ask(client, method, leads_to[1])
        if not leaks(text):
            silent.append(path)
    assert silent == []


@pytest.mark.parametrize("who", STRANGERS)
def test_another_workspaces_id_is_answered_like_one_that_never_was(who: str) -> None:
    client = sign_in(who)
    rows = make_world()
    told_apart = []
    for page in pages():
        if not page.has_row or not is_scoped(page.model):
            continue
        for method in ("GET", "POST"):
            theirs, unknown = str(rows[page.row_model].pk), str(uuid7())
            answers = [ask(client, method, page.path(key), page.form if method == "POST" else None)[0] for key in (theirs, unknown)]
            if answers[0] != answers[1]:
                told_apart.append((method, page.route, *answers))
    assert told_apart == []


@pytest.mark.parametrize("who", ["anonymous", *STRANGERS, "viewer"])
def test_whoever_may_not_change_a_row_changes_none(who: str) -> None:
    client = sign_in(who)
    rows = make_world()
    before = _snapshot(rows)
    changed = []
    form = {"action": "delete_selected", "post": "yes", "confirmed": "yes", "reason": "as agreed", "name": "mine", "time_zone": "UTC"}
    for page, method, path in _requests(rows):
        if method == "POST":
            with transaction.atomic():
                answer: Any = client.post(path, form | page.form)
                _ = b"".join(answer)  # a stream that is read to its end is closed
                if _snapshot(rows) != before:
                    changed.append(path)
                transaction.set_rollback(True)
    assert changed == []


@pytest.mark.parametrize("who", STRANGERS)
def test_no_action_search_or_filter_reaches_another_workspaces_rows(who: str) -> None:
    client = sign_in(who)
    rows = make_world()
    before = _snapshot(rows)
    found: list[Any] = []
    changed: list[Any] = []
    workspace = rows[Workspace].pk
    for page in pages():
        if page.kind != "changelist" or not is_scoped(page.model):
            continue
        row, path = rows[page.model], page.path("")
        queries: list[dict[str, Any]] = [
            {"q": row.pk},
            {"q": CANARY},
            {"q": f"{CANARY}-audit"},
            {"workspace__id__exact": workspace},
            {"o": "1"},
        ]
        queries += [{"q": getattr(row, name)} for name in ("job_id", "item_id", "run_id", "public_id") if getattr(row, name, None)]
        for query in queries:
            _, text = ask(client, "GET", path, query)
            asked = str(query.get("q", CANARY))
            found += [(path, query, leak) for leak in leaks(text.replace(asked, ""))]
        request_actions = ("delete_selected", *_action_names(page.model))
        for action in request_actions:
            with transaction.atomic():
                answer = client.post(
                    path, {"action": action, "_selected_action": [row.pk], "confirmed": "yes", "post": "yes", "reason": "as agreed"}
                )
                found += [(path, action, leak) for leak in leaks(answer.content.decode())]
                changed += [(path, action)] if _snapshot(rows) != before else []
                transaction.set_rollback(True)
    for term in (CANARY, "acme", str(workspace)):
        _, text = ask(client, "GET", "/admin/search/", {"s": term})
        found += [("search", term, leak) for leak in leaks(text.replace(term, ""))]
    assert (found, changed) == ([], [])


def _action_names(model: Any) -> list[str]:
    given = admin.site._registry[model].actions or ()
    return [action if isinstance(action, str) else action.__name__ for action in given]
