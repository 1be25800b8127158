"""Take documents in, read them, let searches find them, freeze and pin what was found."""

from apps.knowledge.actions.add_document import Added, add_document
from apps.knowledge.actions.add_upload import add_upload
from apps.knowledge.actions.create_collection import create_collection
from apps.knowledge.actions.delete_document import delete_document
from apps.knowledge.actions.extract_document import extract_document
from apps.knowledge.actions.pin_snapshot import PinTo, pin_snapshot
from apps.knowledge.actions.search_collection import search_collection
from apps.knowledge.actions.sweep_documents import sweep_documents

__all__ = [
    "Added",
    "PinTo",
    "add_document",
    "add_upload",
    "create_collection",
    "delete_document",
    "extract_document",
    "pin_snapshot",
    "search_collection",
    "sweep_documents",
]
