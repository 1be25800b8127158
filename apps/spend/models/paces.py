"""What things usually do, hour by hour: made of the charges, kept for some weeks, and never asked for what anything cost."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.lib.ids import uuid7
from apps.spend.domain.budgets import ScopeKind


class HourlyPace(models.Model):
    """The busiest 2, 10 and 60 minutes that a workspace, a key or a feature had within one hour."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hour = models.DateTimeField(help_text="When it began, in UTC.")
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    scope = models.CharField(max_length=10, choices=[(kind.value, kind.label) for kind in ScopeKind])
    name = models.CharField(max_length=64, db_default="", help_text="The feature, or the key's id; empty for the workspace.")
    calls = ArrayField(models.FloatField())
    tokens = ArrayField(models.FloatField())
    usd = ArrayField(models.FloatField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "scope", "name", "hour"], name="spend_hourlypace_once")]
        indexes = [models.Index(fields=["hour"], name="spend_hourlypace_by_time")]

    def __str__(self) -> str:
        return f"{self.scope} {self.name} at {self.hour:%Y-%m-%d %H}"


class PacedHour(models.Model):
    """An hour of which all paces stand: what has none in it did nothing."""

    hour = models.DateTimeField(primary_key=True)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}"
