"""Jobs of documents in the native API: what their documents came to, and what a submission asks for."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from apps.accounts.domain.keys import Scope
from apps.accounts.permissions import key_of, require_scope
from apps.jobs.actions import Chosen, Terms
from apps.jobs.domain.document_answer import DocumentAnswer
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.recipe import load_plan
from apps.jobs.models import Job, JobDocument
from apps.jobs.queries import find_job
from apps.jobs.queries.document_answers import documents_of, read_answers
from apps.jobs.queries.recipes import find_recipe
from apps.jobs.serializers.document_jobs import DocumentJobRequestSerializer, JobDocumentSerializer
from apps.jobs.views.filters import JobDocumentFilter
from apps.knowledge.queries import find_collection
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.narrowing import Narrowing

_DOCUMENT_PREFIX = "doc_"
_TERMS = ("feature", "end_user", "metadata", "max_cost_usd", "on_budget", "reuse")


@extend_schema_view(get=extend_schema(operation_id="list_job_documents", tags=["jobs"]))
class JobDocumentsView(ListAPIView[JobDocument]):
    """The documents of a job in their order, each with its answer or the reason why there is none; empty for jobs of other kinds."""

    required_scope = "jobs"
    queryset = JobDocument.objects.none()
    serializer_class = JobDocumentSerializer
    pagination_class = CursorPages
    page_order = ("position",)
    filter_backends = [Narrowing]
    filterset_class = JobDocumentFilter

    def get_queryset(self) -> QuerySet[JobDocument]:
        return documents_of(self._job())

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """The answers of a page are read together."""
        page = args[0] if args else ()
        answers = self._answers(page) if page else ()
        return JobDocumentSerializer(page, **kwargs | {"context": {"answers": {one.position: one for one in answers}}})

    def _answers(self, page: Sequence[JobDocument]) -> Sequence[DocumentAnswer]:
        """One answer to all documents is no document's."""
        job = self._job()
        answers_once = job.recipe is not None and load_plan(job.recipe.plan).answers_once
        return () if answers_once else read_answers(job, page, steps=())

    def _job(self) -> Job:
        return find_job(workspace_id=key_of(self.request).workspace_id, public_id=self.kwargs["job_id"])


def read_wish(request: Request) -> dict[str, Any]:
    """What an action needs for making a job of documents, or foreseeing one; ApiError 403, 404 or 400 names what is wrong."""
    key = key_of(request)
    require_scope(key, Scope.DOCUMENTS)
    wanted = DocumentJobRequestSerializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    values: dict[str, Any] = wanted.validated_data
    ids = [parse_public_id(_DOCUMENT_PREFIX, text) for text in values["documents"]] if "documents" in values else None
    if ids is not None and None in ids:
        raise ApiError(400, "document_not_found", "'documents' must be ids of documents: doc_ and 32 hex digits.", param="documents")
    return {
        "workspace_id": key.workspace_id,
        "recipe_id": find_recipe(workspace_id=key.workspace_id, name=values["recipe"]).id,
        "collection_id": find_collection(workspace_id=key.workspace_id, name=values["collection"]).id,
        "chosen": Chosen(document_ids=[one for one in ids if one] if ids is not None else None, metadata=values.get("filter", {})),
        "terms": Terms(lane=Lane(values["lane"]), **{name: values[name] for name in _TERMS if name in values}),
        "api_key_id": key.id,
    }
