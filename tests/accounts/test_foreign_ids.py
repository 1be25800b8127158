"""Nothing of another workspace shows, on any route: the answer is the one for an id that never was.

The routes come from the URLconf. A new route with a parameter fails here until SAMPLES has a line for it.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts.domain.keys import KEY_PREFIX
from apps.accounts.models import Workspace
from apps.files.actions import start_upload
from apps.lib.ids import public_id
from tests.factories.accounts import make_api_key, make_client, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile, make_turn
from tests.factories.files import make_file
from tests.factories.knowledge import make_collection, make_snapshot, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.recipes import make_document_job, make_recipe
from tests.factories.webhooks import make_delivery, make_endpoint
from tests.jobs.rows import make_job
from tests.spend.purses import make_budget

Make = Callable[[Workspace], str]


def _file(workspace: Workspace) -> str:
    return make_file(workspace=workspace).public_id


def _upload(workspace: Workspace) -> str:
    values = {"bytes": 3, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}
    return start_upload(workspace_id=workspace.id, api_key_id=make_api_key(workspace)[0].id, values=values, now=timezone.now()).public_id


def _batch(workspace: Workspace) -> str:
    return make_job(workspace=workspace).public_id


def _item(workspace: Workspace) -> str:
    return make_job(workspace=workspace).items.get().public_id


def _key(workspace: Workspace) -> str:
    return public_id(KEY_PREFIX, make_api_key(workspace)[0].id)


def _webhook(workspace: Workspace) -> str:
    return make_endpoint(workspace).public_id


def _delivery(workspace: Workspace) -> str:
    return make_delivery(workspace).public_id


def _alert(workspace: Workspace) -> str:
    return make_alert(workspace).public_id


def _prompt(workspace: Workspace) -> str:
    prompt = make_prompt(workspace)
    make_version(prompt, is_published=False)
    return prompt.public_id


def _recipe(workspace: Workspace) -> str:
    return make_recipe(workspace).public_id


def _document_job(workspace: Workspace) -> str:
    return make_document_job(workspace).public_id


def _collection(workspace: Workspace) -> str:
    return make_collection(workspace).public_id


def _document(workspace: Workspace) -> str:
    return upload("Text.", collection=make_collection(workspace, name="one-document")).document.public_id


def _snapshot(workspace: Workspace) -> str:
    return make_snapshot(make_collection(workspace, name="searched")).public_id


def _conversation(workspace: Workspace) -> str:
    conversation = make_conversation(workspace)
    make_turn(conversation)
    return conversation.public_id


def _budget(workspace: Workspace) -> str:
    return make_budget("workspace", workspace=workspace, period="day").public_id


def _profile(workspace: Workspace) -> str:
    return make_profile(workspace, "ada", **{"1": "Ada"}).public_id


# Route -> what makes an object of a workspace and gives its public id.
SAMPLES: dict[str, Make] = {
    "v1/files/<str:file_id>": _file,
    "v1/files/<str:file_id>/content": _file,
    "v1/uploads/<str:upload_id>/parts": _upload,
    "v1/uploads/<str:upload_id>/complete": _upload,
    "v1/uploads/<str:upload_id>/cancel": _upload,
    "v1/batches/<str:batch_id>": _batch,
    "v1/batches/<str:batch_id>/cancel": _batch,
    "v1/batches/<str:batch_id>/results": _batch,
    "api/files/<str:file_id>": _file,
    "api/files/<str:file_id>/content": _file,
    "api/items/<str:item_id>": _item,
    "api/items/<str:item_id>/events": _item,
    "api/jobs/<str:job_id>": _batch,
    "api/jobs/<str:job_id>/cancel": _batch,
    "api/jobs/<str:job_id>/documents": _batch,
    "api/jobs/<str:job_id>/documents/<int:position>/correction": _document_job,
    "api/jobs/<str:job_id>/events": _batch,
    "api/jobs/<str:job_id>/items": _batch,
    "api/jobs/<str:job_id>/lane": _batch,
    "api/jobs/<str:job_id>/pause": _batch,
    "api/jobs/<str:job_id>/rerun": _batch,
    "api/jobs/<str:job_id>/results": _batch,
    "api/jobs/<str:job_id>/resume": _batch,
    "api/keys/<str:key_id>/revoke": _key,
    "api/alerts/<str:alert_id>": _alert,
    "api/alerts/<str:alert_id>/acknowledge": _alert,
    "api/webhooks/<str:webhook_id>": _webhook,
    "api/webhooks/<str:webhook_id>/deliveries": _webhook,
    "api/webhooks/<str:webhook_id>/rotate": _webhook,
    "api/webhooks/<str:webhook_id>/test": _webhook,
    "api/prompts/<str:prompt_id>": _prompt,
    "api/prompts/<str:prompt_id>/draft": _prompt,
    "api/prompts/<str:prompt_id>/publish": _prompt,
    "api/prompts/<str:prompt_id>/archive": _prompt,
    "api/prompts/<str:prompt_id>/versions": _prompt,
    "api/recipes/<str:recipe_id>": _recipe,
    "api/recipes/<str:recipe_id>/archive": _recipe,
    "api/collections/<str:collection_id>": _collection,
    "api/collections/<str:collection_id>/search": _collection,
    "api/documents/<str:document_id>": _document,
    "api/documents/<str:document_id>/text": _document,
    "api/documents/<str:document_id>/versions": _document,
    "api/snapshots/<str:snapshot_id>": _snapshot,
    "api/profiles/<str:profile_id>": _profile,
    "api/profiles/<str:profile_id>/memory": _profile,
    "api/profiles/<str:profile_id>/memory/<str:key>": _profile,
    "api/profiles/<str:profile_id>/events": _profile,
    "api/conversations/<str:conversation_id>": _conversation,
    "api/conversations/<str:conversation_id>/fork": _conversation,
    "api/conversations/<str:conversation_id>/history": _conversation,
    "api/conversations/<str:conversation_id>/turns": _conversation,
    "api/budgets/<str:budget_id>": _budget,
    "api/budgets/<str:budget_id>/top_up": _budget,
    "api/deliveries/<str:delivery_id>": _delivery,
    "api/deliveries/<str:delivery_id>/replay": _delivery,
}
# Routes whose parameter names nothing that a workspace owns.
PLATFORM_WIDE = {
    "v1/models/<path:name>", "v1/models/<str:name>", "api/providers/<str:provider_id>", "api/providers/<str:provider_id>/pause",
    "api/providers/<str:provider_id>/resume", "api/targets/<str:target_id>", "api/targets/<str:target_id>/pause",
    "api/targets/<str:target_id>/resume",
}  # fmt: skip
CHANGES = (
    *("acknowledge", "cancel", "complete", "parts", "lane", "pause", "publish", "rerun", "replay", "resume", "revoke", "rotate", "test"),
    *("search", "top_up", "archive", "correction", "fork", "turns"),
)
# Read the database on threads of their own, so that what a test makes must really be committed.
ASYNC = {"api/jobs/<str:job_id>/events", "api/items/<str:item_id>/events", "api/conversations/<str:conversation_id>/turns"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def all_routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from all_routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route


def routes_with_a_parameter() -> set[str]:
    return {route for route in all_routes(get_resolver()) if route.startswith(("v1/", "api/")) and "<" in route}


def samples() -> list[Any]:
    """Every route, with the kind of database that it needs."""
    return [pytest.param(route, marks=pytest.mark.django_db(transaction=route in ASYNC)) for route in sorted(SAMPLES)]


def test_each_route_with_a_parameter_has_a_sample() -> None:
    assert routes_with_a_parameter() - PLATFORM_WIDE == set(SAMPLES), "add the new route to SAMPLES, or take the old one out"


def filled(route: str, key: str) -> str:
    """The route's path for this id; what else it names is a number."""
    return re.sub("<.*?>", "1", re.sub("<.*?>", lambda _: key, route, count=1))


def _ask(workspace: str, method: str, path: str) -> tuple[int, Any, dict[str, str], int]:
    """Status, body, headers, and how many statements it took: one more would be found out by a watch."""
    client = make_client(workspace)
    with CaptureQueriesContext(connection) as statements:
        answer = client.generic(method, path, b"{}", content_type="application/json")
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "openai-processing-ms"}}
    return answer.status_code, json.loads(answer.content), headers, len(statements)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", samples())
def test_a_foreign_id_is_answered_like_an_unknown_one(route: str, method: str) -> None:
    theirs = SAMPLES[route](make_workspace("theirs"))
    unknown = theirs[:-32] + uuid4().hex
    foreign_answer = _ask("ours", method, "/" + filled(route, theirs))
    unknown_answer = _ask("ours", method, "/" + filled(route, unknown))
    assert foreign_answer[0] in {404, 405}
    assert json.dumps(foreign_answer).replace(theirs, unknown) == json.dumps(unknown_answer)


@pytest.mark.parametrize("route", samples())
def test_the_owner_is_answered_otherwise(route: str) -> None:
    """Else the matrix above would prove nothing."""
    path = "/" + filled(route, SAMPLES[route](make_workspace("ours")))
    client = make_client("ours")
    answers = [
        client.generic(
            method, path, b'{"lane": "bulk", "amount_usd": "1", "version": 1, "query": "a", "answer": "b"}', content_type="application/json"
        )
        for method in ("GET", "POST")
    ]
    for answer in answers:
        answer.close() if getattr(answer, "is_async", False) else b"".join(answer)  # a stream that is read to its end is closed
    statuses = {answer.status_code for answer in answers}
    # An upload that is there wants a form, and parts that are its own; a turn wants words.
    assert statuses - {405} <= ({200, 400, 415} if route.startswith("v1/uploads") or route.endswith("/turns") else {200, 201, 409})
    assert statuses != {405}


@pytest.mark.parametrize("route", samples())
@pytest.mark.parametrize(
    "text", ["x", "..", "%00", "%ff%fe", "a" * 3000, "%F0%9F%98%80", "file-" + "f" * 32, "batch_" + "0" * 32, "%27%20or%201=1--"]
)
def test_a_nonsense_id_is_refused_in_the_same_shape(route: str, text: str) -> None:
    status, body, *_ = _ask("ours", "POST" if route.endswith(CHANGES) else "GET", "/" + filled(route, text))
    assert status == (400 if text == "%00" else 404)
    assert set(body) >= ({"error"} if route.startswith("v1/") else {"type", "title", "status", "detail"})
