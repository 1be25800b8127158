"""Files in the back office: to look at and to download."""

from typing import Any

from django.contrib import admin, messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ByWorkspace, ReadOnly
from apps.files.models import File
from apps.files.queries import FileGoneError, open_file


@admin.register(File)
class FileAdmin(ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Uploads, and what jobs wrote."""

    list_display = ("filename", "public_id", "purpose", "size", "workspace", "created_at", "expires_at", "download")
    list_filter = ("purpose", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("filename", "id")
    show_full_result_count = False
    fields = ("filename", "public_id", "workspace", "purpose", "size", "sha256", "created_at", "expires_at", "deleted_at", "download")
    readonly_fields = ("public_id", "size", "download")

    def get_urls(self) -> list[Any]:
        return [path("<uuid:file_id>/content/", self.admin_site.admin_view(self.content), name="files_file_content"), *super().get_urls()]

    @admin.display(description="size", ordering="size_bytes")
    def size(self, file: File) -> str:
        return filesizeformat(file.size_bytes)

    @admin.display(description="content")
    def download(self, file: File) -> str:
        if file.deleted_at:
            return "deleted"
        return format_html('<a href="{}">Download</a>', reverse("admin:files_file_content", args=[file.pk]))

    def content(self, request: HttpRequest, file_id: Any) -> HttpResponse | FileResponse:
        """The bytes, for those who may see the row."""
        file = self.get_queryset(request).filter(pk=file_id).first()
        try:
            if file is not None:
                return FileResponse(open_file(file.pk), as_attachment=True, filename=file.filename, content_type="application/octet-stream")
        except FileGoneError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:files_file_changelist"))
