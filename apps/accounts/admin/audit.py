"""The audit log: who changed what, when and why. Read only."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.models import AuditEntry
from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter
from apps.lib.large_tables import LargeTable, RecentValuesFilter

_SHORT = 3


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Members read what happened in their workspaces; what belongs to none (providers, users) superusers alone."""

    list_display = ("created_at", "actor_label", "actor_kind", "verb", "object_type", "object_label", "workspace", "summary", "reason")
    list_filter = (
        "actor_kind",
        ("verb", RecentValuesFilter),
        ("object_type", RecentValuesFilter),
        ("workspace", WorkspaceFilter),
        "created_at",
    )
    list_select_related = ("workspace",)
    id_fields = ("pk", "object_id", "actor_id")
    scanned_fields = ("actor_label", "object_label", "request_id")
    search_help_text = "The id of an object, a user or a key; or a whole user name, label or request id."
    fields = (
        ("created_at", "workspace"), ("actor_label", "actor_kind"), ("verb", "object_type"), ("object_label", "object_id"), "reason",
        "what_changed", ("request_id", "address"),
    )  # fmt: skip
    readonly_fields = ("what_changed",)
    list_after_template = "accounts/empty.html"
    empty_hint = "Nothing is written down here yet. Whatever people and programs change leaves an entry."

    @display(description="what changed")  # type: ignore[untyped-decorator]  # unfold ships no types
    def summary(self, entry: AuditEntry) -> str:
        names = list(entry.changes)
        return ", ".join(names[:_SHORT]) + (" …" if len(names) > _SHORT else "")

    @admin.display(description="what changed")
    def what_changed(self, entry: AuditEntry) -> str:
        if not entry.changes:
            return "-"
        rows = format_html_join(
            "",
            "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>",
            ((name, _told(change.get("before")), _told(change.get("after"))) for name, change in entry.changes.items()),
        )
        head = SafeString('<thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>')
        return format_html('<div class="wide"><table class="plain">{}<tbody>{}</tbody></table></div>', head, rows)


def _told(value: Any) -> str:
    if value is None:
        return "-"
    return "\n".join(str(part) for part in value) if isinstance(value, list) else str(value)
