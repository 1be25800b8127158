"""Take documents in, read them, let searches find them, freeze and pin what was found."""

from apps.knowledge.actions.add_document import Added, add_document
from apps.knowledge.actions.add_upload import add_upload
from apps.knowledge.actions.await_vectors import (
    Missing,
    Wanted,
    assign_items,
    join_items,
    list_asked,
    list_askers,
    list_awaited,
    list_missing,
    list_texts,
    list_wanted,
    reuse_vectors,
    tell_asked_again,
)
from apps.knowledge.actions.create_collection import create_collection
from apps.knowledge.actions.delete_collection import delete_collection, describe_collection
from apps.knowledge.actions.delete_document import delete_document
from apps.knowledge.actions.extract_document import extract_document
from apps.knowledge.actions.forget_deleted import forget_deleted
from apps.knowledge.actions.pin_snapshot import PinTo, pin_snapshot
from apps.knowledge.actions.search_collection import needed_embedder, search_collection
from apps.knowledge.actions.store_vectors import publish_complete, store_vectors, tell_not_embedded, tell_unasked
from apps.knowledge.actions.sweep_documents import sweep_documents

__all__ = [
    "Added",
    "Missing",
    "PinTo",
    "Wanted",
    "add_document",
    "add_upload",
    "assign_items",
    "create_collection",
    "delete_collection",
    "delete_document",
    "describe_collection",
    "extract_document",
    "forget_deleted",
    "join_items",
    "list_asked",
    "list_askers",
    "list_awaited",
    "list_missing",
    "list_texts",
    "list_wanted",
    "needed_embedder",
    "pin_snapshot",
    "publish_complete",
    "reuse_vectors",
    "search_collection",
    "store_vectors",
    "sweep_documents",
    "tell_asked_again",
    "tell_not_embedded",
    "tell_unasked",
]
