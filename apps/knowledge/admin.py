"""Documents in the back office: collections with what becomes of their uploads, a box to search them, and what each document says."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from apps.accounts.permissions import Audited, ByWorkspace, MadeByMembers, ReadOnly, WorkspaceFilter, reason_of
from apps.knowledge import actions
from apps.knowledge.domain.embedders import LOCAL
from apps.knowledge.forms import DescribeForm, UploadForm
from apps.knowledge.models import Collection, Document, DocumentVersion, VersionStatus
from apps.knowledge.queries import chunks_of, count_statuses, cut_text, find_version, place_sections, versions_of
from apps.lib.clock import current_time
from apps.lib.html_parts import page_link
from apps.lib.http_errors import ApiError
from apps.providers.queries import list_callable

_SHOWN = 50
_SHOWN_CHARACTERS = 50_000
_NO_CHANGE = "Members of the workspace change its documents; your role lets you look."


@admin.register(Collection)
class CollectionAdmin(MadeByMembers, Audited, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """A workspace's collections. Its members make them and upload to them."""

    asks_why = False
    list_display = ("name", "workspace", "language", "revision", "chunk_count", "description", "updated_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("name", "description")
    ordering = ("name", "pk")
    actions = None
    change_form_outer_before_template = "knowledge/collection.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "No collection here yet. Add one and upload documents to it: they are read, and found by what they mean and say."

    def get_fields(self, request: HttpRequest, obj: Collection | None = None) -> tuple[Any, ...]:  # noqa: ARG002 -- Django's signature
        if obj is None:
            return ("workspace", "name", "description", "language", ("embedder", "dimensions"))
        return (
            ("name", "workspace"),
            "description",
            ("language", "embedder", "dimensions"),
            ("revision", "chunk_count"),
            ("public_id", "created_at"),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Collection | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        return () if obj is None else ("embedder", "dimensions", "revision", "chunk_count", "public_id", "created_at")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:collection_id>/upload/", view(self.upload), name="knowledge_collection_upload"),
            path("<uuid:collection_id>/describe/", view(self.describe), name="knowledge_collection_describe"),
            path("<uuid:collection_id>/discard/", view(self.discard), name="knowledge_collection_discard"),
            *super().get_urls(),
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "embedder":
            models = [(model.name, f"{model.name}, by a provider") for model in list_callable()]
            return forms.ChoiceField(
                choices=[(LOCAL, f"{LOCAL}, here and for nothing"), *models], initial=LOCAL, help_text=db_field.help_text
            )
        return super().formfield_for_dbfield(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 -- Django's signature
        made = actions.create_collection(
            workspace_id=obj.workspace_id,
            name=obj.name,
            description=obj.description,
            language=obj.language,
            embedder=obj.embedder,
            dimensions=None if obj.embedder == LOCAL else obj.dimensions,
            now=current_time(),
        )
        # The page goes on with the row that the action made.
        obj.pk = made.pk

    def response_add(self, request: HttpRequest, obj: Collection, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 -- Django's signature
        return HttpResponseRedirect(reverse("admin:knowledge_collection_upload", args=[obj.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        collection = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if collection:
            context = {
                "collection": collection,
                "statuses": count_statuses(collection.pk),
                "refused": _refused(collection.pk),
                "may_change": self.may_change(request, collection),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        if context and context["statuses"].pending:
            # Until the last one is read, the page tells by itself how far it is.
            response.headers["Refresh"] = "5"
        return response

    def upload(self, request: HttpRequest, collection_id: UUID) -> HttpResponse:
        """Files for the collection; what became of each is told on the collection's page."""
        collection = self._collection(request, collection_id)
        if not self.may_change(request, collection):
            messages.error(request, _NO_CHANGE)
            return self.back(collection)
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                messages.success(request, _take(collection, form.cleaned_data["documents"]))
            except ApiError as refused:
                form.add_error("documents", refused.message)
            else:
                return self.back(collection)
        return self.page(request, "knowledge/upload.html", title=f"Upload documents to {collection.name}", form=form, collection=collection)

    def describe(self, request: HttpRequest, collection_id: UUID) -> HttpResponse:
        """What it is for, anew."""
        collection = self._collection(request, collection_id)
        if not self.may_change(request, collection):
            messages.error(request, _NO_CHANGE)
            return self.back(collection)
        form = DescribeForm(request.POST if request.method == "POST" else None, initial={"description": collection.description})
        if request.method == "POST" and form.is_valid():
            actions.describe_collection(collection_id=collection.pk, description=form.cleaned_data["description"], now=current_time())
            messages.success(request, f"{collection.name} is described anew.")
            return self.back(collection)
        return self.page(request, "knowledge/describe.html", title=f"What {collection.name} is for", form=form, collection=collection)

    def discard(self, request: HttpRequest, collection_id: UUID) -> HttpResponse:
        """Ask first, with what goes with it; its name is to be written."""
        collection = self._collection(request, collection_id)
        if not self.may_change(request, collection):
            messages.error(request, _NO_CHANGE)
            return self.back(collection)
        if request.method == "POST":
            asked = {"name": request.POST.get("name", "").strip(), "reason": reason_of(request, is_needed=False)}
            try:
                documents = actions.delete_collection(collection_id=collection.pk, now=current_time(), **asked)
            except ApiError as refused:
                messages.error(request, refused.message)
                return HttpResponseRedirect(request.path)
            messages.success(request, f"{collection.name} is deleted, with {documents:,} documents.")
            return HttpResponseRedirect(reverse("admin:knowledge_collection_changelist"))
        return self.page(
            request,
            "knowledge/discard_collection.html",
            title=f"Delete {collection.name}?",
            collection=collection,
            statuses=count_statuses(collection.pk),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        found: QuerySet[Collection] = super().get_queryset(request).filter(deleted_at=None)
        return found

    def _collection(self, request: HttpRequest, collection_id: UUID) -> Collection:
        collection: Collection = get_object_or_404(self.get_queryset(request), pk=collection_id)
        return collection


@admin.register(Document)
class DocumentAdmin(ReadOnly, MadeByMembers, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What was uploaded, how its reading stands, and what it says."""

    workspace_path = "collection__workspace"
    list_display = ("name", "in_collection", "standing", "current_number", "updated_at")
    list_filter = (("collection__workspace", WorkspaceFilter),)
    list_select_related = ("collection",)
    search_fields = ("name",)
    ordering = ("-pk",)
    actions = None
    fields = (("name", "in_collection"), "standing", ("source", "metadata"), ("public_id", "current_number"), ("created_at", "updated_at"))
    readonly_fields = ("in_collection", "standing", "current_number", "public_id", "created_at", "updated_at")
    change_form_outer_before_template = "knowledge/document.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "No document here yet. They are uploaded to a collection, on its page or by the API."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        newest = DocumentVersion.objects.filter(document=OuterRef("pk")).order_by("-number")
        documents: QuerySet[Document] = super().get_queryset(request).filter(deleted_at=None)
        return documents.annotate(
            newest_status=Subquery(newest.values("status")[:1]), newest_refusal=Subquery(newest.values("refusal_message")[:1])
        )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:document_id>/discard/", view(self.discard), name="knowledge_document_discard"),
            *super().get_urls(),
        ]

    @admin.display(description="collection", ordering="collection__name")
    def in_collection(self, document: Document) -> str:
        return page_link("knowledge_collection", document.collection_id, document.collection.name)

    @admin.display(description="newest version")
    def standing(self, document: Document) -> str:
        told = VersionStatus(document.newest_status).label  # type: ignore[attr-defined]  # annotated
        reason = document.newest_refusal  # type: ignore[attr-defined]  # annotated
        return format_html("{}: {}", told, reason) if reason else told

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        document = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if document:
            context = _document_context(document, request.GET) | {
                "may_change": self.may_change(request, document),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def discard(self, request: HttpRequest, document_id: UUID) -> HttpResponse:
        """Ask first; then no search finds it any more."""
        document = get_object_or_404(self.get_queryset(request), pk=document_id)
        if not self.may_change(request, document):
            messages.error(request, _NO_CHANGE)
            return self.back(document)
        if request.method != "POST":
            return self.page(request, "knowledge/discard.html", title="Delete this document?", document=document)
        if actions.delete_document(document_id=document.pk, now=current_time(), reason=reason_of(request, is_needed=False)):
            messages.success(request, f"{document.name} is deleted: no search finds it any more.")
        return self.back(document.collection)


def _take(collection: Collection, files: list[Any]) -> str:
    """What became of them, in a sentence."""
    added = [
        one for file in files for one in actions.add_upload(collection_id=collection.pk, api_key_id=None, upload=file, now=current_time())
    ]
    new = sum(one.is_new for one in added)
    same = f" {len(added) - new} had been uploaded before, byte for byte." if new < len(added) else ""
    return f"{new} of {len(added)} taken in; they are read now.{same}"


def _refused(collection_id: UUID) -> list[DocumentVersion]:
    """The newest of them, for the reasons."""
    versions = DocumentVersion.objects.filter(document__collection_id=collection_id, document__deleted_at=None)
    refused = versions.exclude(refusal_code="")
    return list(refused.select_related("document").defer("content").order_by("-pk")[:_SHOWN])


def _document_context(document: Document, query: Any) -> dict[str, Any]:
    number = query.get("version", "")
    wanted = int(number) if number.isascii() and number.isdecimal() and len(number) <= 9 else None
    try:
        version = find_version(document=document, number=wanted)
    except ApiError as error:
        raise Http404 from error
    _, sections = cut_text(place_sections(version), offset=0, limit=_SHOWN_CHARACTERS)
    return {
        "document": document,
        "version": version,
        "versions": list(versions_of(document.pk).order_by("-number")[:_SHOWN]),
        "sections": sections,
        "is_cut": (version.characters or 0) > _SHOWN_CHARACTERS,
        "chunks": list(chunks_of(version.pk)[:_SHOWN]),
    }
