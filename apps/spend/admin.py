"""Prices and charges in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from apps.accounts.permissions import Audited, ByWorkspace, ForSuperusers, ReadOnly
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.spend.models import Charge, Price


@admin.register(Price)
class PriceAdmin(Audited, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Dated prices: a new one is added, an old one is never changed, because charges refer to it."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Without a price what is used costs nothing here. Open a model and choose Add beside its target."
    list_display = ("upstream_model", "effective_from", "input_usd_per_million", "cached_input_usd_per_million", "output_usd_per_million")
    search_fields = ("upstream_model",)
    ordering = ("upstream_model", "-effective_from")

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        """Providers live above this app, which knows them by id; their models' page opens this form filled in."""
        options["help_texts"] = {
            "provider_id": "Open this form from the model's page (its targets' prices), and it is filled in.",
            "upstream_model": "The provider's own name for the model.",
            "effective_from": "In UTC. Calls that are sent from then on cost this much.",
        }
        return super().get_form(request, obj, **options)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A price holds from now on, unless somebody says otherwise."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"effective_from": timezone.now()} | given

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False


@admin.register(Charge)
class ChargeAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What used answers cost; a ledger that only grows."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each answer that is used leaves a charge here. Submit a job first."
    list_display = ("created_at", "workspace", "upstream_model", "cost", "input_tokens", "output_tokens", "end_user", "feature", "lane")
    list_filter = (("lane", RecentValuesFilter), ("upstream_model", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "item_id")
    search_help_text = "The id of a charge or of an item."

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, charge: Charge) -> str:
        return f"${charge.cost_usd:.6f}" if charge.price_id else "no price known"
