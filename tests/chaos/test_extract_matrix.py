"""A worker killed, stopped or broken at each point of reading a document: it is read once, and nothing of the lost reader is found."""

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from apps.knowledge.actions import search_collection, sweep_documents
from apps.knowledge.domain.request import SearchRequest
from apps.knowledge.models import Chunk, Collection, DocumentVersion, VersionStatus
from apps.lib.failpoints import POINTS, VARIABLE
from tests.chaos.points import Points
from tests.chaos.tables import note
from tests.chaos.workers import until, worker
from tests.factories.knowledge import make_collection, upload

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(300)]

# Some dozens of chunks.
TEXT = "\n\n".join(f"Paragraph {n} tells what rule number {n} says of a return. " + "It is paid back in time. " * 30 for n in range(40))


def end_lease() -> None:
    """A minute later, without waiting for it."""
    long_ago = timezone.now() - timedelta(hours=1)
    DocumentVersion.objects.filter(status=VersionStatus.PENDING, claim_id__isnull=False).update(lease_until=long_ago, rung_at=long_ago)


def is_read() -> bool:
    return DocumentVersion.objects.get().status == VersionStatus.READY


@pytest.mark.parametrize("action", ["kill", "stop", "raise"])
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("extract.")])
def test_a_document_is_read_once(point: str, action: str, tmp_path: Path) -> None:
    points = Points(tmp_path)
    storage = {"AIPLATFORM_STORAGE": str(django_settings.STORAGES["default"]["OPTIONS"]["location"])}
    with ExitStack() as workers:
        workers.enter_context(worker("ingest", **storage, **{VARIABLE: str(tmp_path)}))
        points.arm(point, action)
        upload(TEXT, collection=make_collection())
        until(lambda: points.has_fired(point), f"{point} was passed")
        # Once: whoever reads it next has the whole time.
        end_lease()
        until(is_read, "it was read", seconds=120, meanwhile=sweep_documents)
        if action == "stop":
            points.let_go_on(point, is_read, after_seconds=0, meanwhile=sweep_documents)
    version = DocumentVersion.objects.get()
    collection = Collection.objects.get()
    places = sorted(Chunk.objects.values_list("position", flat=True))
    note(
        "Documents", ("point", "action", "chunks", "losses", "revision"), (point, action, len(places), version.losses, collection.revision)
    )
    assert places == list(range(version.chunk_count))
    assert version.chunk_count > 20
    assert (version.from_revision, version.to_revision, version.claim_id, collection.revision) == (1, None, None, 1)
    assert collection.chunk_count == version.chunk_count
    assert version.losses == (0 if point.endswith("after_commit") else 1)
    assert search_collection(collection_id=collection.id, request=SearchRequest(query="rule number 17")).results
