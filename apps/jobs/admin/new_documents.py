"""A new job of documents: a collection, a recipe and which documents; a look at what it would come to; submit."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from apps.accounts.queries import workspaces_for_submitting
from apps.jobs.actions import foresee_documents, submit_documents
from apps.jobs.forms.documents import NewDocumentJobForm
from apps.jobs.queries.recipes import usable_recipes
from apps.knowledge.actions import add_upload
from apps.knowledge.queries import list_collections, list_newest
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import find_uuid

_MOST_OFFERED = 1_000
# Where the form has the field that a refusal is about.
_FIELDS = {"recipe": "recipe", "collection": "collection", "documents": "which", "filter": "metadata"}


class NewDocumentJobPages:
    """For the admin of jobs: `new-documents/?collection=...&recipe=...`."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.new_documents)  # type: ignore[attr-defined]  # a mixin
        return [path("new-documents/", view, name="jobs_job_new_documents"), *super().get_urls()]  # type: ignore[misc]  # a mixin

    def new_documents(self, request: HttpRequest) -> HttpResponse:
        """The form; what it would come to, once looked at. `step=submit` submits."""
        workspaces = {row.pk: row.name for row in workspaces_for_submitting(request.user)}
        if not workspaces:
            raise PermissionDenied("Your role lets you look, not submit.")
        wanted = _Wanted(request, workspaces)
        form, context = wanted.form, {"title": "New job of documents", "form": wanted.form, "wanted": wanted}
        if request.method == "POST" and form.is_valid() and (asked := wanted.read()):
            try:
                if request.POST.get("step") == "submit":
                    job = submit_documents(**asked, created_by_id=UUID(str(request.user.pk)), now=current_time())
                    messages.success(request, "The job is submitted: it starts once its documents are read.")
                    return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[job.pk]))
                context["seen"] = foresee_documents(**asked, now=current_time())
            except ApiError as refused:
                form.add_error(_FIELDS.get(refused.param or ""), refused.message)
        page = self.admin_site.each_context(request) | context  # type: ignore[attr-defined]  # a mixin
        return TemplateResponse(request, "jobs/new_documents.html", page)


class _Wanted:
    """What somebody fills in: with what they may choose from."""

    def __init__(self, request: HttpRequest, workspaces: dict[UUID, str]) -> None:
        self.request = request
        self.collections = {row.pk: row for row in list_collections(list(workspaces))}
        self.recipes = {row.pk: row for row in usable_recipes(list(workspaces))}
        many = len(workspaces) > 1
        self.form = NewDocumentJobForm(
            request.POST or None,
            request.FILES or None,
            collections=[
                (str(key), f"{workspaces[row.workspace_id]}: {row.name}" if many else row.name) for key, row in self.collections.items()
            ],
            recipes=[
                (str(key), f"{workspaces[row.workspace_id]}: {row} ({row.kind})" if many else f"{row} ({row.kind})")
                for key, row in self.recipes.items()
            ],
            initial={name: request.GET[name] for name in ("collection", "recipe") if name in request.GET},
        )
        key = find_uuid(request.POST.get("collection") or request.GET.get("collection") or "")
        self.collection = self.collections.get(key) if key else None
        if self.collection is None and len(self.collections) == 1:
            self.collection = next(iter(self.collections.values()))
        newest = list_newest(self.collection.pk, most=_MOST_OFFERED) if self.collection else []
        self.form.offer_documents([(str(one.document_id), one.name) for one in newest])
        self.uploaded: list[UUID] = []

    @property
    def uploaded_text(self) -> str:
        """For the next look."""
        return ",".join(str(key) for key in self.uploaded)

    def read(self) -> dict[str, Any] | None:
        """What the actions take; None, with the error on the form, when it makes no sense. What is uploaded goes into the collection."""
        values = self.form.cleaned_data
        collection, recipe = self.collections[UUID(values["collection"])], self.recipes[UUID(values["recipe"])]
        if collection.workspace_id != recipe.workspace_id:
            self.form.add_error("recipe", f"{recipe} is of another workspace than the collection {collection.name}.")
            return None
        self.uploaded = values["uploaded"]
        if not self._upload(collection.pk):
            return None
        chosen = self.form.chosen(self.uploaded)
        if chosen is None:
            return None
        return {
            "workspace_id": collection.workspace_id,
            "recipe_id": recipe.pk,
            "collection_id": collection.pk,
            "chosen": chosen,
            "terms": self.form.terms(getattr(self.request.user, "email", "")),
        }

    def _upload(self, collection_id: UUID) -> bool:
        try:
            for file in self.form.cleaned_data["upload"]:
                added = add_upload(collection_id=collection_id, api_key_id=None, upload=file, now=current_time())
                self.uploaded += [one.version.document_id for one in added]
        except ApiError as refused:
            self.form.add_error("upload", refused.message)
            return False
        self.uploaded = list(dict.fromkeys(self.uploaded))
        return True
