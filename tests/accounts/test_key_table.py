"""Every route of both APIs by every kind of key: who is refused, and how; who gets in; and that a refusal changes and tells nothing.

The routes and their methods come from the URLconf: one without a line in NEEDS fails here.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope
from apps.accounts.models import ApiKey, Workspace
from tests.accounts.test_foreign_ids import SAMPLES, filled
from tests.factories.accounts import make_api_key, make_office_client, make_workspace
from tests.factories.providers import make_model, make_provider
from tests.faults import figure

pytestmark = pytest.mark.timeout(600)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Route, then each method with the scopes that a key must have for it.
_NEEDS = """
v1/files                             GET files    POST files
v1/files/<str:file_id>               GET files    DELETE files
v1/files/<str:file_id>/content       GET files
v1/uploads                           POST files
v1/uploads/<str:upload_id>/parts     POST files
v1/uploads/<str:upload_id>/complete  POST files
v1/uploads/<str:upload_id>/cancel    POST files
api/files                            GET files
api/files/<str:file_id>              GET files    DELETE files
api/files/<str:file_id>/content      GET files
v1/batches                           GET batches  POST batches
v1/batches/<str:batch_id>            GET batches
v1/batches/<str:batch_id>/cancel     POST batches
v1/batches/<str:batch_id>/results    GET batches
v1/chat/completions                  POST chat
v1/completions                       POST chat
v1/embeddings                        POST chat
v1/responses                         POST chat
v1/models                            GET chat
v1/models/<path:name>                GET chat
api/models                           GET chat
api/jobs                             GET jobs     POST jobs+documents
api/jobs/<str:job_id>                GET jobs
api/jobs/<str:job_id>/pause          POST jobs
api/jobs/<str:job_id>/resume         POST jobs
api/jobs/<str:job_id>/cancel         POST jobs
api/jobs/<str:job_id>/lane           POST jobs
api/jobs/<str:job_id>/rerun          POST jobs
api/jobs/<str:job_id>/results        GET jobs
api/jobs/<str:job_id>/events         GET jobs
api/jobs/<str:job_id>/documents/<int:position>/correction POST jobs
api/jobs/<str:job_id>/items          GET jobs
api/jobs/<str:job_id>/documents      GET jobs
api/items/<str:item_id>              GET jobs
api/items/<str:item_id>/events       GET jobs
api/dead-items                       GET jobs
api/dead-items/requeue               POST jobs
api/dead-items/discard               POST jobs
api/alerts                           GET jobs
api/alerts/<str:alert_id>            GET jobs
api/alerts/<str:alert_id>/acknowledge POST jobs
api/prompts                          GET prompts  POST prompts
api/prompts/<str:prompt_id>          GET prompts
api/prompts/<str:prompt_id>/versions GET prompts
api/prompts/<str:prompt_id>/draft    GET prompts  PUT prompts
api/prompts/<str:prompt_id>/publish  POST prompts
api/prompts/<str:prompt_id>/archive  POST prompts
api/collections                      GET documents  POST documents
api/collections/<str:collection_id>  GET documents  PATCH documents  DELETE documents
api/collections/<str:collection_id>/search POST documents
api/documents                        GET documents  POST documents
api/documents/<str:document_id>      GET documents  DELETE documents
api/documents/<str:document_id>/versions GET documents
api/documents/<str:document_id>/text GET documents
api/snapshots/<str:snapshot_id>      GET documents
api/profiles                         GET chat     POST chat
api/profiles/<str:profile_id>        GET chat     DELETE chat
api/profiles/<str:profile_id>/memory GET chat
api/profiles/<str:profile_id>/memory/<str:key> GET chat PUT chat DELETE chat
api/profiles/<str:profile_id>/events GET chat
api/conversations                    GET chat     POST chat
api/conversations/<str:conversation_id> GET chat  PATCH chat  DELETE chat
api/conversations/<str:conversation_id>/fork POST chat
api/conversations/<str:conversation_id>/history GET chat
api/conversations/<str:conversation_id>/turns POST chat
api/recipes                          GET jobs     POST jobs
api/recipes/<str:recipe_id>          GET jobs
api/recipes/<str:recipe_id>/archive  POST jobs
api/workspace                        GET admin
api/keys                             GET admin    POST admin
api/keys/<str:key_id>/revoke         POST admin
api/webhooks                         GET admin    POST admin
api/webhooks/<str:webhook_id>        GET admin    PATCH admin   DELETE admin
api/webhooks/<str:webhook_id>/rotate POST admin
api/webhooks/<str:webhook_id>/test   POST admin
api/webhooks/<str:webhook_id>/deliveries GET admin
api/deliveries/<str:delivery_id>     GET admin
api/deliveries/<str:delivery_id>/replay POST admin
api/spend                            GET spend
api/spend/parts                      GET spend
api/spend/parts.csv                  GET spend
api/spend/course                     GET spend
api/spend/course.csv                 GET spend
api/spend/movers                     GET spend
api/budgets                          GET spend    POST spend+admin
api/budgets/<str:budget_id>          GET spend    PATCH spend+admin
api/budgets/<str:budget_id>/top_up   POST spend+admin
api/providers                        GET platform
api/providers/<str:provider_id>      GET platform
api/providers/<str:provider_id>/pause  POST platform
api/providers/<str:provider_id>/resume POST platform
api/targets/<str:target_id>          GET platform
api/targets/<str:target_id>/pause    POST platform
api/targets/<str:target_id>/resume   POST platform
"""


def _read(table: str) -> dict[str, dict[str, frozenset[Scope]]]:
    found: dict[str, dict[str, frozenset[Scope]]] = {}
    for route, *cells in (line.split() for line in table.strip().splitlines()):
        found[route] = {method: frozenset(map(Scope, scopes.split("+"))) for method, scopes in zip(cells[::2], cells[1::2], strict=True)}
    return found


NEEDS = _read(_NEEDS)
# What everybody who reaches the server may read: nothing of a workspace stands there.
OPEN = {"healthz", "readyz", "metrics", "api/schema/", "api/docs/"}
# Plain async views: they take one method, and refuse the others before they look at the key.
ASYNC = {
    "v1/chat/completions",
    "v1/completions",
    "v1/embeddings",
    "v1/responses",
    "api/jobs/<str:job_id>/events",
    "api/items/<str:item_id>/events",
    "api/conversations/<str:conversation_id>/turns",
}

LIVE = ("every scope", "scopes of a workspace", *(f"only {scope}" for scope in Scope), *(f"all but {scope}" for scope in Scope))
DEAD = ("no key", "another's key", "a made-up key", "revoked", "expired", "of a deleted workspace", "a session")
# Refused before anybody looks at it, though it is a good one; also when it comes in its header as well.
TOLD = ("in the address", "also in the address")
KEYS = (*DEAD, *TOLD, *LIVE, "foreign")
# What a route only describes, or doesn't take, is asked with fewer keys: its answer depends on them no more.
FEW = ("no key", "revoked", "only chat", "every scope", "foreign")
UNREAD = {("HEAD", route) for route in NEEDS if route.endswith("/content")}
IN = {200, 201, 202, 204, 400, 409, 415}


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of refusals are meant."""
    caplog.set_level(logging.ERROR, "django.request")


def taken_by(view: Any) -> set[str]:
    """The methods that a view of REST framework's answers."""
    return {method for method in METHODS if hasattr(view.cls, method.lower())} - {"HEAD", "OPTIONS"}


def test_every_route_has_its_line() -> None:
    found = {route: view for route, view in routes(get_resolver()) if not route.startswith("admin/")}
    assert set(found) == set(NEEDS) | OPEN, "add the new route to NEEDS, or to OPEN if strangers may read it"
    for route, view in found.items():
        assert hasattr(view, "cls") == (route not in ASYNC | {"healthz", "readyz", "metrics"}), route
        if hasattr(view, "cls") and route in NEEDS:
            assert taken_by(view) == set(NEEDS[route]), f"{route}: a method without a line"
    scopes = {scope for methods in NEEDS.values() for needed in methods.values() for scope in needed}
    assert scopes == set(Scope)


@dataclass(frozen=True)
class World:
    """The path of a sample for each route, a client for each key, ids that only `acme` may see, and a live key as a query."""

    paths: dict[str, str]
    clients: dict[str, Client]
    ids: list[str]
    query: str

    def path(self, route: str, who: str) -> str:
        return self.paths[route] + (self.query if who in TOLD else "")


def _client(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def make_world() -> World:
    acme = make_workspace("acme")
    provider = make_provider("idle")
    target = make_model("idle", provider).targets.get()
    shared = {"name": "idle", "provider_id": provider.public_id, "target_id": target.public_id}
    made = {make: make(acme) for make in dict.fromkeys(SAMPLES.values())}
    ids = {route: made[make] for route, make in SAMPLES.items()}
    paths = {}
    for route in NEEDS:
        parameter = re.search(r"<\w+:(\w+)>", route)
        sample = ids.get(route) or (shared[parameter[1]] if parameter else "")
        paths[route] = "/" + filled(route, sample)
    clients = {f"only {scope}": _client(make_api_key(acme, scope)[1]) for scope in Scope}
    clients |= {f"all but {scope}": _client(make_api_key(acme, *(set(Scope) - {scope}))[1]) for scope in Scope}
    live = make_api_key(acme)[1]
    clients |= {
        "no key": Client(raise_request_exception=False),
        "another's key": _client("sk-proj-" + "a" * 40),
        "a made-up key": _client("aip-" + "a" * 43),
        "revoked": _client(make_api_key(acme)[1]),
        "expired": _client(make_api_key(acme, expires_at=timezone.now() - timedelta(seconds=1))[1]),
        "of a deleted workspace": _client(make_api_key(make_workspace("gone"))[1]),
        "a session": make_office_client(),
        "in the address": Client(raise_request_exception=False),
        "also in the address": _client(live),
        "every scope": _client(live),
        "scopes of a workspace": _client(make_api_key(acme, *WORKSPACE_SCOPES)[1]),
        "foreign": _client(make_api_key(make_workspace("other"))[1]),
    }
    revoked = clients["revoked"].defaults["HTTP_AUTHORIZATION"].split()[-1]
    ApiKey.objects.filter(prefix=revoked[:12]).update(revoked_at=timezone.now())
    Workspace.objects.filter(name="gone").update(deleting_at=timezone.now())
    return World(paths, clients, [*made.values()], query=f"?api_key={live}&key={live}&access_token={live}")


def scopes_of(who: str) -> set[Scope]:
    """What a live key may."""
    if who.startswith("only "):
        return {Scope(who.removeprefix("only "))}
    if who.startswith("all but "):
        return set(Scope) - {Scope(who.removeprefix("all but "))}
    return set(WORKSPACE_SCOPES) if who == "scopes of a workspace" else set(Scope)


def needed(route: str, method: str) -> frozenset[Scope]:
    """The scopes that decide the cell; of a method that the route doesn't take, or that only describes it, those of its view."""
    takes = NEEDS[route]
    first = next(iter(takes.values()))
    # HEAD is GET without the body.
    return takes.get("GET" if method == "HEAD" else method) or (first - {Scope.ADMIN} or first)


def is_taken(route: str, method: str) -> bool:
    return method in NEEDS[route] or (method == "HEAD" and "GET" in NEEDS[route] and route not in ASYNC)


def expected(route: str, method: str, who: str) -> set[int]:
    """What the cell has to answer; IN: whatever is neither a refusal of the key nor an id that isn't there."""
    if who in TOLD:
        answer = {400}
    elif route in ASYNC and not is_taken(route, method):
        answer = {405}
    elif who in DEAD:
        answer = {401}
    elif not needed(route, method) <= scopes_of(who):
        answer = {403}
    elif not is_taken(route, method):
        answer = {200 if method == "OPTIONS" else 405}
    elif who == "foreign" and route in SAMPLES:
        answer = {404}
    else:
        answer = IN
    return answer


def state() -> dict[str, str]:
    """A digest of each table; when a key was last seen is no change."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = connection.ops.quote_name(model._meta.db_table)
            rows = f"SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {table} AS t"
            cursor.execute(f"SELECT md5(string_agg(row, '' ORDER BY row)) FROM ({rows}) AS rows")
            found[model._meta.label] = cursor.fetchone()[0]
    return found


def cells(chosen: set[str]) -> Iterator[tuple[str, str, str]]:
    for who in KEYS:
        for route in sorted(chosen):
            for method in METHODS:
                # The test's client throws the stream of a HEAD away unread, and with it a file that is open.
                if (method, route) not in UNREAD and (method in NEEDS[route] or who in FEW):
                    yield who, route, method


def _tell_wrong(answer: Any, body: bytes, allowed: set[int]) -> str:
    """What is wrong with a refusal's words; nothing, if they say what they should."""
    code = {frozenset({400}): b'"key_in_address"', frozenset({401}): b'"invalid_api_key"', frozenset({403}): b'"missing_scope"'}.get(
        frozenset(allowed)
    )
    if not body or code is None or answer.status_code not in allowed:
        return ""
    return "" if code in body else f"without the code {code!r}"


def walk(chosen: set[str], world: World, *, may_roll_back: bool) -> tuple[int, list[Any], list[Any]]:
    """(how many cells, the wrong ones, what a foreign key was told of others' rows); each cell that got in is taken back."""
    asked, wrong, leaks = 0, [], []
    for who, route, method in cells(chosen):
        allowed = expected(route, method, who)
        is_refused = allowed <= {400, 401, 403, 404, 405}
        around: AbstractContextManager[Any] = transaction.atomic() if may_roll_back and not is_refused else nullcontext()
        with around:
            answer: Any = world.clients[who].generic(method, world.path(route, who), b"{}", content_type="application/json")
            if getattr(answer, "is_async", False):
                answer.close()
                body = b""
            else:
                body = b"".join(answer)
            if may_roll_back and not is_refused:
                transaction.set_rollback(True)
        asked += 1
        told = _tell_wrong(answer, body, allowed)
        if answer.status_code not in allowed or told:
            wrong.append((who, method, route, answer.status_code, sorted(allowed), told))
        if who in {*DEAD, *TOLD, "foreign"}:
            leaks += [(who, method, route, one) for one in world.ids if one.encode() in body and one not in world.paths[route]]
    return asked, wrong, leaks


@pytest.mark.django_db
def test_each_key_gets_the_answer_that_is_its_own_and_a_refusal_changes_nothing() -> None:
    world = make_world()
    before = state()
    asked, wrong, leaks = walk(set(NEEDS) - ASYNC, world, may_roll_back=True)
    changed = [table for table, digest in state().items() if digest != before[table]]
    figure("Keys", f"{len(NEEDS) - len(ASYNC)} routes x {len(KEYS)} keys: {asked} cells, wrong {len(wrong)}, tables changed {len(changed)}")
    assert (wrong, leaks, changed) == ([], [], [])


@pytest.mark.django_db(transaction=True)
def test_single_calls_and_events_keep_to_the_table() -> None:
    """They look at the key on threads of their own, so that it must really be committed."""
    world = make_world()
    before = state()
    asked, wrong, leaks = walk(ASYNC, world, may_roll_back=False)
    changed = [table for table, digest in state().items() if digest != before[table]]
    figure("Keys", f"{len(ASYNC)} async routes x {len(KEYS)} keys: {asked} cells, wrong {len(wrong)}, tables changed {len(changed)}")
    assert (wrong, leaks, changed) == ([], [], [])


@pytest.mark.django_db
@pytest.mark.parametrize("route", sorted(OPEN))
def test_what_is_open_to_everybody_can_only_be_read(route: str) -> None:
    for who in (Client(raise_request_exception=False), _client("aip-" + "a" * 43)):
        assert who.get(f"/{route}").status_code in {200, 503}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert who.generic(method, f"/{route}", b"{}", content_type="application/json").status_code == 405
