"""Search a collection: what it knows of something. Where a provider makes its vectors, the question's is paid for."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import require_safe

from apps.accounts.queries import workspaces_for_submitting
from apps.jobs.actions.search_documents import search_documents
from apps.jobs.forms import SearchForm
from apps.knowledge.actions import needed_embedder
from apps.knowledge.domain.request import Mode, SearchRequest
from apps.knowledge.queries import find_shown_collection, read_passages
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError

_COSTS = "Whoever searches by meaning here asks a model that costs money, which members of the workspace may. Search by words."


class SearchPages:
    """For the admin of jobs: `search/<collection>/?query=...`; the address can be kept."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_safe(self.search))  # type: ignore[attr-defined]  # a mixin
        return [path("search/<uuid:collection_id>/", view, name="jobs_job_search"), *super().get_urls()]  # type: ignore[misc]  # a mixin

    def search(self, request: HttpRequest, collection_id: UUID) -> HttpResponse:
        """The form, and what was found."""
        collection = find_shown_collection(workspace_ids=self.workspaces_shown(request), collection_id=collection_id)  # type: ignore[attr-defined]  # a mixin
        if collection is None:
            raise Http404
        form = SearchForm(request.GET if "query" in request.GET else None)
        context: dict[str, Any] = {"title": f"Search {collection.name}", "form": form, "collection": collection}
        if form.is_valid():
            values = form.cleaned_data
            asked = SearchRequest(query=values["query"], mode=Mode(values["mode"] or Mode.HYBRID), as_of=values["as_of"])
            try:
                _require_member(request, collection, asked)
                snapshot = search_documents(
                    collection=collection,
                    api_key_id=None,
                    request=asked,
                    end_user=request.user.get_username(),
                    is_alone=True,
                    now=current_time(),
                )
            except ApiError as refused:
                form.add_error(None, refused.message)
            else:
                passages = read_passages(snapshot)
                # What was deleted at this very moment is not there any more.
                there = [result for result in snapshot.results if UUID(result["chunk"]) in passages]
                found = [result | {"passage": passages[UUID(result["chunk"])]} for result in there]
                context |= {"snapshot": snapshot, "found": found}
        return TemplateResponse(request, "jobs/search_collection.html", self.admin_site.each_context(request) | context)  # type: ignore[attr-defined]  # a mixin


def _require_member(request: HttpRequest, collection: Any, asked: SearchRequest) -> None:
    is_paid = needed_embedder(collection_id=collection.id, request=asked)
    if is_paid and not workspaces_for_submitting(request.user).filter(id=collection.workspace_id).exists():
        raise ApiError(403, "not_a_member", _COSTS)
