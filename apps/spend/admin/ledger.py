"""Prices and charges in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from apps.accounts.permissions import Audited, ByWorkspace, ForSuperusers, ReadOnly
from apps.lib.html_parts import id_link, page_link, pairs_table
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.spend.models import Charge, Price


@admin.register(Price)
class PriceAdmin(Audited, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Dated prices: a new one is added, an old one is never changed, because charges refer to it."""

    needs_reason = frozenset({"add"})
    list_before_template = "spend/prices_head.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "Without a price what is used costs nothing here. Choose Add beside a target of a model, or compare with the public list."
    list_display = (
        "upstream_model",
        "effective_from",
        "input_usd_per_million",
        "cached_input_usd_per_million",
        "output_usd_per_million",
        "origin",
    )
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

    @admin.display(description="taken from", ordering="source")
    def origin(self, price: Price) -> str:
        return price.source or "set here"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False


@admin.register(Charge)
class ChargeAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What used answers cost; a ledger that only grows."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each answer that is used leaves a charge here. Submit a job first."
    list_display = ("created_at", "workspace", "upstream_model", "cost", "tokens", "end_user", "feature", "lane")
    list_filter = (("lane", RecentValuesFilter), ("upstream_model", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "item_id")
    search_help_text = "The id of a charge or of an item."

    fields = (
        ("created_at", "workspace"), ("job", "item"), ("upstream_model", "lane"), ("end_user", "feature"), "prompt_version",
        ("cost", "price"),
        ("input_tokens", "output_tokens"), ("cached_input_tokens", "reasoning_tokens"), "cache_write_tokens", "kinds",
        "unit_prices", "reported",
        ("run", "seq"),
    )  # fmt: skip
    readonly_fields = ("job", "item", "run", "cost", "price", "kinds", "unit_prices", "reported")

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, charge: Charge) -> str:
        return f"${charge.cost_usd:.6f}" if charge.price_id else "no price known"

    @admin.display(description="tokens in / out")
    def tokens(self, charge: Charge) -> str:
        return format_html('<span class="whole">{} / {}</span>', f"{charge.input_tokens:,}", f"{charge.output_tokens:,}")

    @admin.display(description="job")
    def job(self, charge: Charge) -> str:
        return id_link("jobs_job", "batch_", charge.job_id)

    @admin.display(description="item")
    def item(self, charge: Charge) -> str:
        return id_link("jobs_item", "item_", charge.item_id)

    @admin.display(description="run")
    def run(self, charge: Charge) -> str:
        return id_link("traces_run", "run_", charge.run_id)

    @admin.display(description="price")
    def price(self, charge: Charge) -> str:
        return page_link("spend_price", charge.price_id, "The price that held")

    @admin.display(description="of these, kinds with a price of their own")
    def kinds(self, charge: Charge) -> str:
        return pairs_table(charge.parts)

    @admin.display(description="dollars per million tokens")
    def unit_prices(self, charge: Charge) -> str:
        return pairs_table(charge.prices)

    @admin.display(description="use, as the provider told it")
    def reported(self, charge: Charge) -> str:
        return pairs_table(charge.usage)
