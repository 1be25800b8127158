"""Dated prices, and one Charge per answer that was used. Ledgers only grow: no row here is ever edited."""

from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import uuid7


class Price(models.Model):
    """What a provider's model costs from a moment on, in US dollars per million tokens (and per request)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Providers live above spend, so this is a reference without a constraint.
    provider_id = models.UUIDField()
    upstream_model = models.CharField(max_length=200)
    effective_from = models.DateTimeField()
    input_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12)
    cached_input_usd_per_million = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as input."
    )
    cache_write_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as input.")
    output_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12)
    reasoning_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as output.")
    request_usd = models.DecimalField(max_digits=20, decimal_places=12, default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider_id", "upstream_model", "effective_from"], name="spend_price_once"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} from {self.effective_from:%Y-%m-%d}"


class Charge(models.Model):
    """What one used answer cost, with the prices it was computed from. `price_id` is null when none was known."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraint: this table takes thousands of rows a second, and a check per row would lock the workspace's row.
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    item_id = models.UUIDField()
    seq = models.PositiveSmallIntegerField(db_default=0)
    run_id = models.UUIDField()
    model_id = models.UUIDField()
    provider_id = models.UUIDField()
    upstream_model = models.CharField(max_length=200)
    price_id = models.UUIDField(null=True)
    api_key_id = models.UUIDField(null=True)
    end_user = models.CharField(max_length=255, db_default="")
    feature = models.CharField(max_length=64, db_default="")
    lane = models.CharField(max_length=12)
    input_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField(db_default=0)
    cache_write_tokens = models.BigIntegerField(db_default=0)
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField(db_default=0)
    usage = models.JSONField(null=True, help_text="What the provider reported, as it came.")
    prices = models.JSONField(null=True, help_text="The unit prices used, in dollars per million tokens.")
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item_id", "seq"], name="spend_charge_once")]
        indexes = [
            models.Index(fields=["created_at"], name="spend_charge_by_time"),
            models.Index(fields=["workspace", "id"], name="spend_charge_newest"),
        ]

    def __str__(self) -> str:
        return f"${self.cost_usd.normalize():f} for item_{self.item_id.hex}"
