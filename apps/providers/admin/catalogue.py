"""Providers, models and targets in the back office."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.accounts.permissions import Audited, ForSuperusers
from apps.providers.actions import save_provider_key
from apps.providers.admin.desk import DeskPages
from apps.providers.admin.price_list import PriceListPages
from apps.providers.domain.base_url import is_same_server
from apps.providers.models import Model, Provider, Target


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own form
    """A provider, with its key write-only."""

    api_key = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(render_value=False),
        help_text="Stored encrypted; only its end is ever shown. Empty: the key stays as it is, unless the address goes to another server.",
    )

    class Meta:
        model = Provider
        fields = ()  # The admin names them, in its fieldsets.

    def clean(self) -> dict[str, Any]:
        """A key that nobody can read must not be sent to an address of somebody's choice either."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        # The instance has the address of before until the form is found right.
        before, address = self.instance.base_url, values.get("base_url")
        has_new_key = bool(values.get("api_key", "").strip())
        if self.instance.api_key_sealed and address and not has_new_key and not is_same_server(address, before):
            self.add_error("api_key", "Enter the key again: the address changed.")
        return values


class TargetInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    """Who answers for a model, the first one first."""

    model = Target
    extra = 0
    readonly_fields = ("prices",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("provider", "model")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """The list of providers is read once, not for each row."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        field.choices = list(field.choices)
        return field

    @admin.display(description="prices")
    def prices(self, target: Target) -> str:
        """Prices live below providers and know no names, so the link brings them along."""
        if target.pk is None or target.provider_id is None:
            return "after saving"
        query = urlencode({"provider_id": target.provider_id, "upstream_model": target.upstream_model})
        known = urlencode({"q": target.upstream_model})
        return format_html(
            '<span class="whole"><a href="{}?{}">Show</a> · <a href="{}?{}">Add</a></span>',
            reverse("admin:spend_price_changelist"), known, reverse("admin:spend_price_add"), query,
        )  # fmt: skip


@admin.register(Provider)
class ProviderAdmin(DeskPages, PriceListPages, Audited, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Endpoints with one credential each."""

    form = ProviderForm
    list_after_template = "accounts/empty.html"
    empty_hint = "A provider is an address and a key. Add one, then a model with a target at it; or declare both with manage.py apply."
    list_display = ("name", "kind", "base_url", "key_in_use", "is_enabled", "updated_at")
    readonly_fields = ("key_in_use",)
    search_fields = ("name", "base_url")
    fieldsets = (
        (None, {"fields": ("name", "kind", "base_url", "key_in_use", "api_key", "is_enabled")}),
        (
            "Limits, shared by all workers",
            {
                "fields": (
                    "requests_per_minute",
                    "tokens_per_minute",
                    "input_tokens_per_minute",
                    "output_tokens_per_minute",
                    "max_concurrency",
                )
            },
        ),
        ("Timeouts", {"fields": ("connect_timeout_seconds", "read_timeout_seconds", "total_timeout_seconds")}),
    )

    @admin.display(description="key in use")
    def key_in_use(self, provider: Provider) -> str:
        """Which one it is, for whoever has several of a provider."""
        if not provider.api_key_sealed:
            return "none"
        ending = provider.key_ending
        if ending is None:
            return "does not open: enter it anew"
        return f"ends in {ending}" if ending else "set"

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        if change:
            # Not the key, nor what else somebody has changed since the row was read.
            obj.save(update_fields={*form.changed_data, "updated_at"} - {"api_key"})
        else:
            super().save_model(request, obj, form, change)
        if form.cleaned_data["api_key"]:
            save_provider_key(provider_id=obj.pk, api_key=form.cleaned_data["api_key"])


@admin.register(Model)
class ModelAdminPage(Audited, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What callers can ask for."""

    list_after_template = "accounts/empty.html"
    empty_hint = "A model is what callers ask for. Add one with a target: which provider answers, and by what name it knows the model."
    list_display = ("name", "answered_by", "max_output_tokens", "is_enabled")
    search_fields = ("name",)
    inlines = (TargetInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("targets__provider")

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        options["help_texts"] = {
            "max_output_tokens": "The longest answer that may be asked for, and what is counted when a caller names no limit.",
            "is_enabled": "Off: callers are told that there is no such model.",
        }
        return super().get_form(request, obj, **options)

    @admin.display(description="answered by, in this order")
    def answered_by(self, model: Model) -> str:
        return ", ".join(str(target) for target in model.targets.all() if target.is_enabled) or "nobody: give it a target"
