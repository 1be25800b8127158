"""Collections with documents that were read."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.knowledge.actions import Added, add_document, create_collection, extract_document, search_collection
from apps.knowledge.domain.reading import pack_sections
from apps.knowledge.domain.request import SearchRequest
from apps.knowledge.domain.sections import Section
from apps.knowledge.models import Collection, Document, DocumentVersion, Snapshot
from tests.factories.accounts import make_workspace


def make_collection(workspace: Workspace | None = None, *, name: str = "handbook", language: str = "simple", **embedder: Any) -> Collection:
    owner = workspace or make_workspace()
    return create_collection(workspace_id=owner.id, name=name, language=language, **embedder, now=timezone.now())


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


def make_read(texts: Mapping[str, str], *, collection: Collection) -> list[DocumentVersion]:
    """Versions as they stand once they are read, by name; without chunks, so that no search finds them."""
    versions = []
    for name, text in texts.items():
        document = Document.objects.filter(collection=collection, name=name).first() or Document.objects.create(
            collection=collection, name=name
        )
        number = DocumentVersion.objects.filter(document=document).count() + 1
        sections = [Section(part) for part in text.split("\n\n")]
        collection.revision += 1
        values = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size_bytes": len(text), "characters": len(text), "pages": 1}
        values |= {"status": "ready", "from_revision": collection.revision, "content": pack_sections(sections)}
        versions.append(DocumentVersion.objects.create(document=document, number=number, **values))
        Document.objects.filter(id=document.id).update(current_number=number)
    collection.save(update_fields=["revision"])
    return versions


def make_snapshot(collection: Collection | None = None, *, query: str = "what is known") -> Snapshot:
    """Of what the collection has; also of nothing."""
    owner = collection or make_collection()
    return search_collection(collection_id=owner.id, request=SearchRequest(query=query))
