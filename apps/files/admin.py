"""Files in the back office: to look at and to download."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter, reason_of
from apps.files.actions import delete_file
from apps.files.models import FILE_PREFIX, File
from apps.files.queries import FileGoneError, open_file
from apps.lib.html_parts import short_id
from apps.lib.large_tables import LargeTable
from apps.lib.streaming import read_chunks, stream_response


@admin.register(File)
class FileAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Uploads, and what jobs wrote."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Files come with a new job, or by the API; what jobs answer becomes files, too."
    list_display = ("filename", "short", "purpose", "size", "workspace", "created_at", "expires_at", "download")
    list_filter = ("purpose", ("workspace", WorkspaceFilter))
    list_select_related = ("workspace",)
    scanned_fields = ("filename",)
    search_help_text = "A file's id, or its whole name."
    fields = (
        "filename",
        "public_id",
        "workspace",
        "purpose",
        "size",
        "sha256",
        "created_at",
        "expires_at",
        "deleted_at",
        "download",
        "discarding",
    )
    readonly_fields = ("public_id", "size", "download", "discarding")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:file_id>/content/", view(self.content), name="files_file_content"),
            path("<uuid:file_id>/discard/", view(self.discard), name="files_file_discard"),
            *super().get_urls(),
        ]

    @admin.display(description="id", ordering="pk")
    def short(self, file: File) -> str:
        return short_id(FILE_PREFIX, file.pk)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, file: File) -> str:
        return filesizeformat(file.size_bytes)

    @admin.display(description="content")
    def download(self, file: File) -> str:
        if file.deleted_at:
            return "deleted"
        return format_html('<a class="link" href="{}">Download</a>', reverse("admin:files_file_content", args=[file.pk]))

    @admin.display(description="delete")
    def discarding(self, file: File) -> str:
        if file.deleted_at:
            return "deleted"
        return format_html('<a class="link" href="{}">Delete…</a>', reverse("admin:files_file_discard", args=[file.pk]))

    def discard(self, request: HttpRequest, file_id: UUID) -> HttpResponse:
        """Ask first: the bytes are gone for good. Members of the file's workspace may."""
        file = get_object_or_404(self.get_queryset(request), pk=file_id)
        page = HttpResponseRedirect(reverse("admin:files_file_change", args=[file.pk]))
        if not ByWorkspace.has_change_permission(self, request, file):
            messages.error(request, "Your role in this workspace only lets you look.")
            return page
        if request.method != "POST":
            context = self.admin_site.each_context(request) | {"title": "Delete this file?", "file": file, "opts": self.opts}
            return TemplateResponse(request, "files/discard.html", context)
        if delete_file(file_id=file.pk, now=timezone.now(), reason=reason_of(request, is_needed=False)):
            messages.success(request, "The file is deleted.")
        else:
            messages.error(request, "It had been deleted before.")
        return page

    def content(self, request: HttpRequest, file_id: UUID) -> HttpResponseBase:
        """The bytes, for those who may see the row; always as a download."""
        file = get_object_or_404(self.get_queryset(request), pk=file_id)
        try:
            chunks = read_chunks(open_file(file.pk))
        except FileGoneError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:files_file_changelist"))
        response = stream_response(request, chunks, content_type="application/octet-stream")
        response.headers["Content-Length"] = str(file.size_bytes)
        response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.filename) or "attachment"
        return response
