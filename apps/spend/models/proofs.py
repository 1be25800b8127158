"""What looks at all money found, each kept: our sums against each other, and against what providers count."""

from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import uuid7


class Proof(models.Model):
    """One look at all money at one moment: what was charged, against what jobs and the ledger of reservations say. Never edited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    checked_at = models.DateTimeField(editable=False)
    seconds = models.FloatField(help_text="How long the look took.")
    charges = models.BigIntegerField(help_text="How many calls were charged.")
    charged_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="The sum of all charges.")
    jobs_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="What jobs count, with the charges of jobs that are gone.")
    bounded_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="The charges of runs that money was set aside for.")
    ledger_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="The same, as the ledger of reservations has it.")
    wasted_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="The operator's own.")
    reserved_usd = models.DecimalField(max_digits=24, decimal_places=12, help_text="Set aside; nothing, while nothing runs.")
    running = models.BigIntegerField(help_text="Items that ran at that moment.")
    unpriced = models.BigIntegerField(help_text="Calls that were charged nothing, since their model had no price.")
    wrong_jobs = models.BigIntegerField(help_text="Jobs that count something else than their charges.")
    wrong_counters = models.BigIntegerField(help_text="Counters of budgets that are not the sum of their reservations.")
    examples = models.JSONField(default=list, help_text="The first of these.")
    is_whole = models.BooleanField("all equal", help_text="No difference anywhere.")

    class Meta:
        indexes = [models.Index(fields=["checked_at"], name="spend_proof_by_time")]

    def __str__(self) -> str:
        return f"{self.checked_at:%Y-%m-%d %H:%M} UTC"


class ReconciledDay(models.Model):
    """What a provider says that a model was used for on one day, beside what we charged. One row for each look; never edited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    imported_at = models.DateTimeField(db_default=Now(), editable=False)
    source = models.CharField(max_length=200, help_text="The file, or the address, that told it.")
    # Providers live above spend, so this is a reference without a constraint.
    provider_id = models.UUIDField()
    day = models.DateField(help_text="In UTC.")
    upstream_model = models.CharField(max_length=200)
    their_requests = models.BigIntegerField(null=True)
    our_requests = models.BigIntegerField()
    their_input_tokens = models.BigIntegerField(null=True)
    our_input_tokens = models.BigIntegerField(help_text="All of them: also cached ones and those written to a cache.")
    their_cached_input_tokens = models.BigIntegerField(null=True)
    our_cached_input_tokens = models.BigIntegerField()
    their_output_tokens = models.BigIntegerField(null=True)
    our_output_tokens = models.BigIntegerField(help_text="All of them: also reasoning.")
    their_cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    our_cost_usd = models.DecimalField(max_digits=20, decimal_places=12)
    # What the provider counts beyond the charges, and we know why; null in rows from before it was kept.
    wasted_requests = models.BigIntegerField(null=True, help_text="Answered, and lost on the way: nobody was charged for these.")
    wasted_input_tokens = models.BigIntegerField(null=True)
    wasted_cached_input_tokens = models.BigIntegerField(null=True)
    wasted_output_tokens = models.BigIntegerField(null=True)
    wasted_cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    is_equal = models.BooleanField("equal", help_text="Whatever the provider told is what we charged, or wrote off as waste.")

    class Meta:
        verbose_name = "reconciled day"
        indexes = [models.Index(fields=["provider_id", "day"], name="spend_reconciled_by_day")]

    def __str__(self) -> str:
        return f"{self.upstream_model} on {self.day:%Y-%m-%d}"
