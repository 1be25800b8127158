"""Jobs of documents that have been answered, with passages that answers cite: for pages, exports and corrections."""

from typing import Any

import orjson

from apps.accounts.models import Workspace
from apps.jobs.domain.recipe_reading import read_recipe
from apps.jobs.models import Job
from apps.providers.domain.policy import USUAL_TIMES
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document
from tests.jobs.documents import Say, run_out, started

RULES = "Refunds\n\nMoney is paid back within fourteen days of the return."
PRICES = "Prices\n\nA chair costs 1,234.50 dollars; delivery takes 3 weeks."
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["price"],
    "properties": {"price": {"type": "number"}, "state": {"type": "string"}},
}


def _answered(kind: str, declared: dict[str, Any], say: Say, workspace: Workspace | None, name: str) -> Job:
    plan = read_recipe(kind, {"model": "small", **declared}, find_prompt=lambda *_: _no_prompt(), times=USUAL_TIMES).plan
    collection = make_collection(workspace or make_workspace(), name=name)
    make_document(RULES, collection=collection, name="rules.txt")
    make_document(PRICES, collection=collection, name="prices.txt")
    make_document(b"", collection=collection, name="empty.txt")
    job = started(plan, collection)
    run_out(job, say)
    return Job.objects.select_related("recipe").get(id=job.id)


def _no_prompt() -> Any:
    raise AssertionError("no stored prompt is named")


def asked_job(
    workspace: Workspace | None = None, *, say: Say = lambda _: "Within fourteen days [1].", each: str = "document", **declared: Any
) -> Job:
    """Three documents were asked; one couldn't be read."""
    fields = {"question": "When is money paid back?", "each": each} | declared
    return _answered("ask", fields, say, workspace, f"asked-{each}")


def extracted_job(workspace: Workspace | None = None) -> Job:
    """Fields of a schema: a price that stands in one text in another spelling, and a field that is called like a column."""
    told = orjson.dumps({"price": 1234.5, "state": "3 weeks"}).decode()
    return _answered("extract", {"schema": SCHEMA}, lambda _: told, workspace, "extracted")
