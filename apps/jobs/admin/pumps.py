"""Pumps: what runs now, and what ran."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ForSuperusers, ReadOnly
from apps.jobs.models import Pump
from apps.lib.large_tables import LargeTable


@admin.register(Pump)
class PumpAdmin(LargeTable, ReadOnly, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """The tasks that run items."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Pumps begin when there is work. If work waits and none begins, the workers are down: see the home page."
    list_display = ("worker_set", "hostname", "pid", "state", "in_flight", "window", "done", "dead", "started_at", "renewed_at", "ended_at")
    list_filter = ("worker_set", "state")
    paged_by = ()
