"""What a body or a query names of another workspace is answered like what never was; what it names of one's own is taken."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Workspace
from tests.accounts import test_foreign_ids as samples
from tests.factories.accounts import make_client, make_workspace
from tests.factories.conversations import make_conversation
from tests.factories.jobs import make_route
from tests.factories.prompts import make_prompt, make_version
from tests.factories.recipes import make_recipe

pytestmark = pytest.mark.django_db(transaction=True)
# A turn that nobody could ask, so that nobody is waited for; and a model that there is not.
NO_TURN = {"model": "small", "messages": [{"role": "assistant", "content": "I said"}]}
ASKED = {"model": "nobody", "messages": [{"role": "user", "content": "a"}]}


@dataclass(frozen=True)
class Named:
    """A request that names something by its id, which `make` makes: `send(client, our workspace, id)`."""

    make: samples.Make
    send: Callable[[Client, Workspace, str], Any]


def post(path: str, body: Callable[[Workspace, str], dict[str, Any]]) -> Callable[[Client, Workspace, str], Any]:
    def send(client: Client, workspace: Workspace, key: str) -> Any:
        return client.post(path, json.dumps(body(workspace, key)), content_type="application/json")

    return send


def get(path: str) -> Callable[[Client, Workspace, str], Any]:
    return lambda client, _, key: client.get(path.format(key))


def search(client: Client, workspace: Workspace, key: str) -> Any:
    collection = workspace.collections.get(name="one-document")
    return client.post(
        f"/api/collections/{collection.public_id}/search", {"query": "a", "document_ids": [key]}, content_type="application/json"
    )


def change_conversation(client: Client, workspace: Workspace, key: str) -> Any:
    path = f"/api/conversations/{make_conversation(workspace).public_id}"
    return client.patch(path, {"collection": key}, content_type="application/json")


def platform_tool(_: Workspace, key: str) -> dict[str, Any]:
    return ASKED | {"tools": [{"type": "platform", "platform": {"name": "search_knowledge", "collection": key}}]}


def document_job(workspace: Workspace, **values: Any) -> dict[str, Any]:
    if not workspace.recipes.exists():
        make_recipe(workspace)
    return {"recipe": "summary", "collection": "one-document"} | values


def published_prompt(workspace: Workspace) -> str:
    """They are called by their names."""
    return make_version(make_prompt(workspace, name="named")).prompt.name


def filled_collection(workspace: Workspace) -> str:
    if not workspace.collections.filter(name="one-document").exists():
        samples._document(workspace)
    return str(workspace.collections.get(name="one-document").public_id)


CASES = {
    "a conversation of a turn": Named(
        samples._conversation, post("/v1/chat/completions", lambda _, key: NO_TURN | {"conversation_id": key})
    ),
    "a collection of a tool": Named(samples._collection, post("/v1/chat/completions", platform_tool)),
    "a collection of a conversation": Named(
        samples._collection, post("/api/conversations", lambda _, key: {"model": "small", "collection": key})
    ),
    "another collection of a conversation": Named(samples._collection, change_conversation),
    "a collection of a job": Named(samples._collection, post("/api/jobs", lambda workspace, key: document_job(workspace, collection=key))),
    "documents of a job": Named(samples._document, post("/api/jobs", lambda workspace, key: document_job(workspace, documents=[key]))),
    "documents of a search": Named(samples._document, search),
    "a file of a batch": Named(
        samples._file,
        post("/v1/batches", lambda _, key: {"input_file_id": key, "endpoint": "/v1/chat/completions", "completion_window": "24h"}),
    ),
    "a prompt of a call": Named(published_prompt, post("/v1/chat/completions", lambda _, key: {"model": "nobody", "prompt": {"id": key}})),
    "a job of dead items": Named(
        samples._batch, post("/api/dead-items/requeue", lambda _, key: {"job_id": key, "reason": "a", "dry_run": True})
    ),
    "dead items": Named(samples._item, post("/api/dead-items/discard", lambda _, key: {"item_ids": [key], "reason": "a"})),
    "a job of the spend": Named(samples._batch, get("/api/spend?job={}")),
    "a key of the spend": Named(samples._key, get("/api/spend?api_key={}")),
    "documents of a collection": Named(filled_collection, get("/api/documents?collection={}")),
}


def told(answer: Any, key: str) -> tuple[int, str]:
    return answer.status_code, answer.content.decode().replace(key, "ID")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_another_workspaces_is_answered_like_what_never_was(case: Named) -> None:
    for model in ("small", "tiny"):
        make_route(model)
    ours = make_workspace("ours")
    samples._document(ours)
    client = make_client("ours")
    theirs = case.make(make_workspace("theirs"))
    unknown = theirs[:-32] + uuid4().hex
    assert told(case.send(client, ours, theirs), theirs) == told(case.send(client, ours, unknown), unknown)


# Numbers of what is one's own, and of what there is not, are the same here: none of it is dead, or was paid.
ALIKE = {"a job of dead items", "dead items", "a job of the spend", "a key of the spend"}


@pytest.mark.parametrize("name", sorted(set(CASES) - ALIKE))
def test_what_is_ones_own_is_answered_otherwise(name: str) -> None:
    """Else the test above would prove nothing."""
    for model in ("small", "tiny"):
        make_route(model)
    ours = make_workspace("ours")
    samples._document(ours)
    client, case = make_client("ours"), CASES[name]
    mine = case.make(ours) if case.make is not samples._document else ours.collections.get(name="one-document").documents.get().public_id
    unknown = mine[:-32] + uuid4().hex
    assert told(case.send(client, ours, mine), mine) != told(case.send(client, ours, unknown), unknown)
