"""Collections with documents that were read."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.knowledge.actions import Added, add_document, create_collection, extract_document, search_collection
from apps.knowledge.domain.request import SearchRequest
from apps.knowledge.models import Collection, DocumentVersion, Snapshot
from tests.factories.accounts import make_workspace


def make_collection(workspace: Workspace | None = None, *, name: str = "handbook", language: str = "simple") -> Collection:
    owner = workspace or make_workspace()
    return create_collection(workspace_id=owner.id, name=name, language=language, now=timezone.now())


def upload(text: str | bytes, *, collection: Collection | None = None, name: str = "rules.txt", **metadata: str) -> Added:
    """A document that waits to be read."""
    content = SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)
    owner = collection or make_collection()
    return add_document(
        collection_id=owner.id, api_key_id=None, filename=name, content=content, metadata=metadata or None, now=timezone.now()
    )


def make_document(text: str | bytes, *, collection: Collection | None = None, name: str = "rules.txt", **metadata: str) -> DocumentVersion:
    """A version that was read, or refused."""
    added = upload(text, collection=collection, name=name, **metadata)
    extract_document(version_id=added.version.id)
    return DocumentVersion.objects.select_related("document__collection").get(id=added.version.id)


def make_snapshot(collection: Collection | None = None, *, query: str = "what is known") -> Snapshot:
    """Of what the collection has; also of nothing."""
    owner = collection or make_collection()
    return search_collection(collection_id=owner.id, request=SearchRequest(query=query))
