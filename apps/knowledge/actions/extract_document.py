"""Read a document: its text with the places, cut into chunks; once each has its vector, searches find it, at one moment.

Safe to run twice at once and again after a kill: one reader holds the claim, what an earlier one left is removed, every write is fenced.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

import structlog
from django.conf import settings

from apps.files.queries import FileGoneError, open_file
from apps.knowledge.actions.announce_read import announce_read
from apps.knowledge.actions.hold_version import Claim, ClaimLostError, hold_version, refuse_version
from apps.knowledge.actions.publish_reading import Reading, publish_reading
from apps.knowledge.actions.store_chunks import copy_chunks, store_chunks
from apps.knowledge.domain.chunks import cut_chunks
from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.reading import FILE_GONE, OVERLAP_TOKENS, PIECE_TOKENS, POISON, pack_sections
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import join_text
from apps.knowledge.extraction import extract
from apps.knowledge.models import EMBEDDING, Document, DocumentVersion, VersionStatus
from apps.lib.failpoints import failpoint
from apps.lib.tokenizer import count_tokens

log = structlog.get_logger(__name__)

_POISON = "Reading this file was tried {losses} times, and each time the process that read it was lost. It is not tried again."
_GONE = "The file was deleted before it was read; upload it again."


def extract_document(*, version_id: UUID) -> str:
    """What became of it: ready, embedding, refused, or nothing when somebody else reads it, or it was read before."""
    with hold_version(version_id) as claim:
        if claim is None:
            return ""
        failpoint("extract.claimed")
        try:
            outcome = _read(claim)
        except ClaimLostError:
            log.info("document_claim_lost", version_id=str(version_id))
            return ""
    if outcome != EMBEDDING:
        announce_read(Document.objects.values_list("collection_id", flat=True).get(versions=version_id))
    log.info("document_read", version_id=str(version_id), outcome=outcome)
    return outcome


def _read(claim: Claim) -> str:
    version = DocumentVersion.objects.select_related("document__collection").defer("content").get(id=claim.version_id)
    if claim.is_poison:
        refuse_version(claim, code=POISON, message=_POISON.format(losses=claim.losses))
        return VersionStatus.REFUSED
    try:
        reading = _reuse(claim, version) or _extract(claim, version)
    except FileGoneError:
        refuse_version(claim, code=FILE_GONE, message=_GONE)
        return VersionStatus.REFUSED
    except Refused as refused:
        refuse_version(claim, code=refused.code, message=refused.message)
        return VersionStatus.REFUSED
    failpoint("extract.stored")
    return VersionStatus.READY if publish_reading(claim, reading) else EMBEDDING


def _reuse(claim: Claim, version: DocumentVersion) -> Reading | None:
    """The same bytes under another name of the collection were read before: their text and vectors serve again."""
    known = DocumentVersion.objects.filter(
        document__collection=version.document.collection, sha256=version.sha256, status=VersionStatus.READY, content__isnull=False
    )
    ending = Path(version.document.name).suffix.lower()
    twin = next((one for one in known.select_related("document")[:10] if Path(one.document.name).suffix.lower() == ending), None)
    if twin is None or twin.content is None or not copy_chunks(claim, version, twin=twin):
        return None
    return Reading(
        media_type=twin.media_type,
        title=twin.title,
        language=twin.language,
        pages=twin.pages or 1,
        characters=twin.characters or 0,
        chunk_count=twin.chunk_count,
        content=bytes(twin.content),
    )


def _extract(claim: Claim, version: DocumentVersion) -> Reading:
    if version.file_id is None:
        raise FileGoneError
    with _on_disk(version.file_id) as copy:
        extracted = extract(copy, filename=version.document.name, limits=Limits(max_bytes=settings.MAX_FILE_BYTES))
    failpoint("extract.extracted")
    pieces = cut_chunks(extracted.sections, max_tokens=PIECE_TOKENS, overlap_tokens=OVERLAP_TOKENS, count=count_tokens)
    store_chunks(claim, version, pieces)
    return Reading(
        media_type=extracted.media_type,
        title=extracted.title[:500],
        language=extracted.language[:40],
        pages=extracted.pages,
        characters=len(join_text(extracted.sections)),
        chunk_count=len(pieces),
        content=pack_sections(extracted.sections),
    )


@contextmanager
def _on_disk(file_id: UUID) -> Iterator[IO[bytes]]:
    """A copy of the stored bytes, since a storage may be far away. It has no name, so that nothing stays, whatever ends this process."""
    with open_file(file_id) as stream, tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        yield copy
