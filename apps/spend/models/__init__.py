"""Dated prices, budgets, and the ledgers: reservation, resolution, charge, waste and saving. A ledger only grows: no row is ever edited."""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import public_id, uuid7
from apps.lib.sql import CurrentTransaction
from apps.spend.domain.budgets import RANKS, PeriodKind, ScopeKind
from apps.spend.domain.charges import ResolutionKind
from apps.spend.domain.pricing import TiersInvalidError, read_tiers
from apps.spend.models.paces import HourlyPace, PacedHour
from apps.spend.models.proofs import Proof, ReconciledDay
from apps.spend.models.rollups import (
    DayRollup,
    JobCost,
    JobRollup,
    QuarterRollup,
    Rollup,
    RollupMark,
    UserDayRollup,
    UserMonthRollup,
    UserRollup,
)

__all__ = [
    "BUDGET_PREFIX",
    "Budget",
    "BudgetPeriod",
    "Charge",
    "DayRollup",
    "HourlyPace",
    "JobCost",
    "JobRollup",
    "PacedHour",
    "Price",
    "Proof",
    "QuarterRollup",
    "ReconciledDay",
    "Reservation",
    "Resolution",
    "Rollup",
    "RollupMark",
    "Saving",
    "UserDayRollup",
    "UserMonthRollup",
    "UserRollup",
    "Waste",
]


def validate_tiers(tiers: object) -> None:
    """Refuses what no call could be priced by."""
    try:
        read_tiers(tiers)
    except TiersInvalidError as error:
        raise ValidationError(str(error)) from error


BUDGET_PREFIX = "budget_"


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
    cache_write_1h_usd_per_million = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, blank=True, help_text="What is kept for an hour. Empty: as cache write."
    )
    audio_input_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as input.")
    image_input_usd_per_million = models.DecimalField(max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as input.")
    audio_output_usd_per_million = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as output."
    )
    image_output_usd_per_million = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, blank=True, help_text="Empty: as output."
    )
    tiers = models.JSONField(
        "long contexts",
        null=True,
        blank=True,
        validators=[validate_tiers],
        help_text="Other prices for calls with more input, for all their tokens; what a tier leaves out stays. For example"
        ' [{"above_input_tokens": 200000, "input_usd_per_million": "2.50", "output_usd_per_million": "15"}].',
    )
    source = models.CharField(
        max_length=100, blank=True, default="", db_default="", editable=False, help_text="The list it was taken from; empty: people's own."
    )
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
    prompt_version = models.CharField(max_length=64, default="", db_default="")
    lane = models.CharField(max_length=12)
    input_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField(db_default=0)
    cache_write_tokens = models.BigIntegerField(db_default=0)
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField(db_default=0)
    usage = models.JSONField(null=True, help_text="What the provider reported, as it came.")
    parts = models.JSONField(null=True, help_text="Of the tokens, those of kinds with a price of their own.")
    prices = models.JSONField(null=True, help_text="The unit prices used, in dollars per million tokens.")
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Roll-ups follow it; null in rows from before there were any.
    transaction_id = models.BigIntegerField(null=True, db_default=CurrentTransaction(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item_id", "seq"], name="spend_charge_once")]
        indexes = [
            # What end users cost within a part of a day is read from it, without the rows.
            models.Index(fields=["created_at", "workspace"], include=["end_user", "cost_usd"], name="spend_charge_costs"),
            models.Index(fields=["workspace", "id"], name="spend_charge_newest"),
            models.Index(fields=["transaction_id"], condition=models.Q(transaction_id__isnull=False), name="spend_charge_by_transaction"),
        ]

    def __str__(self) -> str:
        return f"${self.cost_usd.normalize():f} for item_{self.item_id.hex}"


class Budget(models.Model):
    """What may be spent on one thing within a period. Its name is whom it bounds; which of the fields holds that, its scope says."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    scope = models.CharField(max_length=10, choices=[(kind.value, kind.label) for kind in ScopeKind])
    workspace = models.ForeignKey(
        "accounts.Workspace", on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: all workspaces together."
    )
    api_key = models.ForeignKey(
        "accounts.ApiKey", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="API key"
    )
    # Jobs live above spend, so this is a reference without a constraint.
    job_id = models.UUIDField(null=True, blank=True)
    subject = models.CharField(max_length=255, blank=True, default="", db_default="", help_text="The end user's or the feature's name.")
    period = models.CharField(max_length=5, choices=[(kind.value, kind.label) for kind in PeriodKind])
    cap_usd = models.DecimalField(
        "cap in US dollars",
        max_digits=20,
        decimal_places=12,
        validators=[MinValueValidator(Decimal(0))],
        help_text="How much may be spent within each period.",
    )
    is_hard = models.BooleanField(
        "hard", default=True, db_default=True, help_text="Hard: nothing is sent that could exceed it. Soft: it counts and warns alone."
    )
    is_active = models.BooleanField("active", default=True, db_default=True, help_text="Off: it neither counts nor bounds.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Of pauses alone.
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "workspace", "api_key", "job_id", "subject", "period"], nulls_distinct=False, name="spend_budget_once"
            ),
            models.CheckConstraint(condition=models.Q(cap_usd__gte=0), name="spend_budget_cap_positive"),
        ]
        indexes = [
            models.Index(fields=["job_id"], condition=models.Q(scope=ScopeKind.JOB), name="spend_budget_of_job"),
            models.Index(fields=["api_key"], condition=models.Q(scope=ScopeKind.API_KEY), name="spend_budget_of_key"),
        ]

    def __str__(self) -> str:
        if self.is_pause:
            return f"pause of {self.whose}"
        return f"{self.whose} by {self.period}" if self.period != PeriodKind.TOTAL else f"{self.whose} in all"

    @property
    def public_id(self) -> str:
        return public_id(BUDGET_PREFIX, self.id)

    @property
    def is_pause(self) -> bool:
        """Nothing fits into it while it is active, whatever it costs."""
        return self.period == PeriodKind.PAUSE

    @property
    def whose(self) -> str:
        """Whom it bounds, in words."""
        names = {
            ScopeKind.PLATFORM: "the platform",
            ScopeKind.WORKSPACE: f"workspace {self.workspace}",
            ScopeKind.API_KEY: f"key {self.api_key}",
            ScopeKind.JOB: f"job batch_{self.job_id.hex if self.job_id else ''}",
        }
        return names.get(ScopeKind(self.scope), f"{ScopeKind(self.scope).label} {self.subject}")

    @property
    def time_zone(self) -> str:
        """Where its periods begin."""
        return self.workspace.time_zone if self.workspace else "UTC"


class BudgetPeriod(models.Model):
    """What a budget has counted within one period; the only rows of money that change. Locked by rank, then id: no two wait in a circle."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    budget = models.ForeignKey("spend.Budget", on_delete=models.CASCADE, related_name="periods", db_index=False)
    rank = models.PositiveSmallIntegerField(choices=[(rank, kind.label) for kind, rank in RANKS.items()])
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, help_text="Empty: it never ends.")
    reserved_usd = models.DecimalField(max_digits=24, decimal_places=12, db_default=0)
    spent_usd = models.DecimalField(max_digits=24, decimal_places=12, db_default=0)
    extra_usd = models.DecimalField(max_digits=24, decimal_places=12, db_default=0, help_text="What this period was topped up by.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="spend_budgetperiod_once"),
            models.CheckConstraint(condition=models.Q(reserved_usd__gte=0, spent_usd__gte=0), name="spend_budgetperiod_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} of {self.budget_id}"


class Reservation(models.Model):
    """What a run may cost at most, set aside when it was claimed. Its id is the run's; never edited."""

    id = models.UUIDField(primary_key=True, editable=False)
    # No constraints here either: as many rows as runs under a budget.
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    item_id = models.UUIDField()
    amount_usd = models.DecimalField(max_digits=20, decimal_places=12)
    period_ids = ArrayField(models.UUIDField(), help_text="The counters that it stands in.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"${self.amount_usd.normalize():f} for run_{self.id.hex}"


class Resolution(models.Model):
    """The one end of a reservation: charged, released, or wasted. `amount_usd` is what was spent; never edited.

    A run that is charged for one call may have wasted another one: that is `waste_usd`. Null in rows from before it was kept.
    """

    reservation_id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in ResolutionKind])
    amount_usd = models.DecimalField(max_digits=20, decimal_places=12)
    waste_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.kind} ${self.amount_usd.normalize():f} for run_{self.reservation_id.hex}"


class Waste(models.Model):
    """What was perhaps paid for nothing: the operator's, never the workspace's. The amount is the most that it may have cost."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    item_id = models.UUIDField()
    run_id = models.UUIDField()
    seq = models.PositiveSmallIntegerField(db_default=0)
    reason = models.CharField(max_length=12, help_text="ambiguous: nobody knows whether it was billed; lost: its worker died.")
    provider_id = models.UUIDField(null=True)
    upstream_model = models.CharField(max_length=200, db_default="")
    amount_usd = models.DecimalField(max_digits=20, decimal_places=12)
    # Whose call it was, as far as it is known.
    model_id = models.UUIDField(null=True)
    api_key_id = models.UUIDField(null=True)
    end_user = models.CharField(max_length=255, db_default="")
    feature = models.CharField(max_length=64, db_default="")
    lane = models.CharField(max_length=12, db_default="")
    prompt_version = models.CharField(max_length=64, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    transaction_id = models.BigIntegerField(null=True, db_default=CurrentTransaction(), editable=False)

    class Meta:
        verbose_name_plural = "waste"
        constraints = [models.UniqueConstraint(fields=["run_id", "seq"], name="spend_waste_once")]
        indexes = [
            models.Index(fields=["created_at"], name="spend_waste_by_time"),
            models.Index(fields=["transaction_id"], condition=models.Q(transaction_id__isnull=False), name="spend_waste_by_transaction"),
        ]

    def __str__(self) -> str:
        return f"${self.amount_usd.normalize():f} of run_{self.run_id.hex}"


class Saving(models.Model):
    """What a run did not cost: an answer that was kept or shared, or a first model's that was accepted; below nothing where it was refused.

    Its id is the run's.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    item_id = models.UUIDField()
    model_id = models.UUIDField(null=True)
    provider_id = models.UUIDField(null=True)
    upstream_model = models.CharField(max_length=200, db_default="")
    api_key_id = models.UUIDField(null=True)
    end_user = models.CharField(max_length=255, db_default="")
    feature = models.CharField(max_length=64, db_default="")
    lane = models.CharField(max_length=12, db_default="")
    prompt_version = models.CharField(max_length=64, default="", db_default="")
    by_cache_usd = models.DecimalField(max_digits=20, decimal_places=12)
    by_first_usd = models.DecimalField(max_digits=20, decimal_places=12)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    transaction_id = models.BigIntegerField(null=True, db_default=CurrentTransaction(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="spend_saving_by_time"),
            models.Index(fields=["transaction_id"], condition=models.Q(transaction_id__isnull=False), name="spend_saving_by_transaction"),
        ]

    def __str__(self) -> str:
        return f"${(self.by_cache_usd + self.by_first_usd).normalize():f} of run_{self.id.hex}"
