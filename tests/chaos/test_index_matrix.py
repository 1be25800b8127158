"""Vectors by a provider, the worker killed at each point on their way: no text is asked for and paid twice, and searches find all of it."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from apps.jobs.actions import sweep
from apps.jobs.models import Item, Job, Pump
from apps.knowledge.actions import search_collection, sweep_documents
from apps.knowledge.domain.request import Mode, SearchRequest
from apps.knowledge.models import Chunk, Collection, DocumentVersion
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.queries import read_bodies
from tests.chaos.tables import note
from tests.chaos.test_crash_matrix import BEGIN, SMALL, Workers, kept_in, working
from tests.chaos.workers import until
from tests.factories.knowledge import make_collection, upload
from tests.simulated import Simulator
from tests.spend.purses import make_budget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

# Where items are made of texts, where their vectors are stored, and where the job ends; whoever is killed there has asked nobody.
INGEST = ("index.before_commit", "index.after_commit", "index.stored", "finish.before_commit", "finish.after_commit")
# Where a pump takes the items through.
EXEC = ("claim.before_commit", "claim.after_commit", "call.before_send", "call.answered", "settle.before_commit", "settle.after_commit")
ALWAYS = {"index.stored", "call.answered"}
PARAMETERS = [pytest.param(point, marks=() if point in ALWAYS else pytest.mark.long) for point in INGEST + EXEC]
# Two documents that say ten rules alike: two groups of texts, or more when one is read long before the other.
RULES = {"first.md": range(90), "second.md": range(80, 140)}
TOKENS_A_TEXT = 20  # as the simulator counts


@pytest.fixture(scope="module")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """One pair for all cases."""
    with working(tmp_path_factory.mktemp("index"), SMALL) as made:
        yield made


def make_embedded(simulator: Simulator) -> Collection:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    Target.objects.create(model=Model.objects.create(name="embed"), provider=provider, upstream_model="embed-upstream")
    prices = {"input_usd_per_million": 1, "output_usd_per_million": 0}
    Price.objects.create(provider_id=provider.id, upstream_model="embed-upstream", effective_from=BEGIN, **prices)
    collection = make_collection(embedder="embed", dimensions=256)
    # So that money is set aside for every run, and what was paid for nothing is known; none of them is used up.
    make_budget(cap="1000")
    make_budget("workspace", "1000", workspace=collection.workspace)
    return collection


def beat() -> None:
    sweep()
    sweep_documents()


def is_over() -> bool:
    read = DocumentVersion.objects.filter(status="ready").count()
    return read == len(RULES) and not Job.objects.filter(ended_at=None).exists() and not Pump.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize("point", PARAMETERS)
def test_no_text_is_embedded_and_paid_twice(workers: Workers, point: str, simulator: Simulator, settings: Any) -> None:
    kept_in(settings, workers.storage)
    began, points = timezone.now(), workers.points
    points.arm(point, "kill")
    collection = make_embedded(simulator)
    for name, rules in RULES.items():
        texts = [f"# Rule {n}\n\n" + f"Rule number {n} tells what is paid back. " * 15 for n in rules]
        upload("\n\n".join(texts), collection=collection, name=name)
    until(lambda: points.has_fired(point), f"{point} was passed", meanwhile=beat)
    until(is_over, "all was read, embedded and found", meanwhile=beat)
    points.disarm()
    assert_each_text_was_paid_once(simulator, point)
    found = search_collection(collection_id=collection.id, request=SearchRequest(query="Rule number 117", mode=Mode.TEXT))
    assert "Rule number 117" in Chunk.objects.get(id=found.results[0]["chunk"]).text
    findings = check_invariants(since=began - timedelta(minutes=1), at_rest=True)
    assert [finding for finding in findings if finding.broken] == []


def assert_each_text_was_paid_once(simulator: Simulator, point: str) -> None:
    items = list(Item.objects.all())
    requests = read_bodies([bytes(item.request_body_id) for item in items])
    texts = Counter(text for item in items for text in orjson.loads(requests[bytes(item.request_body_id)])["input"])
    wanted = Chunk.objects.order_by().values("text_key").distinct().count()
    extra = simulator.calls()["total"] - len(items)
    note("Vectors", ("point", "texts", "items", "extra calls"), (point, len(texts), len(items), extra))
    assert not Chunk.objects.filter(embedding=None).exists()
    assert (len(texts), texts.total()) == (wanted, wanted)
    assert {item.state for item in items} == {"done"}
    assert Counter(Charge.objects.values_list("item_id", flat=True)) == Counter(item.id for item in items)
    assert sum(Charge.objects.values_list("input_tokens", flat=True)) == TOKENS_A_TEXT * wanted
    # What was in the air with a killed pump is asked once more; what was paid is not.
    assert 0 <= extra <= (0 if point in INGEST else len(items))
