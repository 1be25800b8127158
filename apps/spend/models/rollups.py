"""Sums of the ledgers by stretches of time, so that a question about months reads no charges; they can be made anew from these."""

from django.db import models


class Sums(models.Model):
    """What roll-ups sum up: the ledgers' rows of one stretch of time, with one value of each dimension. The id is a digest of these.

    So one small index finds the row to add to, and a name can be taken out of rows without their running into each other.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    begins_at = models.DateTimeField(help_text="Of the hour or day, in UTC.")
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    calls = models.BigIntegerField()
    items = models.BigIntegerField()
    input_tokens = models.BigIntegerField(help_text="All of them: also cached ones and those written to a cache.")
    cached_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField(help_text="All of them: also reasoning.")
    reasoning_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    retries = models.BigIntegerField(help_text="Calls that were not their item's first.")
    retry_usd = models.DecimalField(max_digits=24, decimal_places=12)
    wasted = models.BigIntegerField(help_text="Calls that were perhaps paid for nothing; not among the calls.")
    waste_usd = models.DecimalField(max_digits=24, decimal_places=12)
    cache_saved_usd = models.DecimalField(max_digits=24, decimal_places=12)
    cascade_saved_usd = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"${self.cost_usd.normalize():f} from {self.begins_at:%Y-%m-%d %H:%M}"


class Summed(Sums):
    """With what has few values."""

    api_key_id = models.UUIDField(null=True)
    feature = models.CharField(max_length=64)
    lane = models.CharField(max_length=12)
    model_id = models.UUIDField(null=True)
    provider_id = models.UUIDField(null=True)
    upstream_model = models.CharField(max_length=200)

    class Meta:
        abstract = True


class Rollup(Summed):
    """By hour, and by what has few values."""

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_rollup_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_rollup_by_time"),
        ]


class JobRollup(Summed):
    """By quarter of an hour and job, and within it by prompt version: most jobs are short and have one, which makes hardly more rows."""

    job_id = models.UUIDField()
    prompt_version = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_jobrollup_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_jobrollup_by_time"),
            models.Index(fields=["job_id"], name="spend_jobrollup_of_job"),
        ]


_OF_FEW = {
    "key": "api_key_id", "lane": "lane", "model": "model_id", "provider": "provider_id", "upstream": "upstream_model",
    "prompt": "prompt_version",
}  # fmt: skip


class QuarterRollup(Summed):
    """By quarter of an hour, and by what has few values: where a day begins within an hour of UTC, and for what cuts hours."""

    prompt_version = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_quarter_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_quarter_by_time"),
        ]


class UserRollup(Summed):
    """By day and end user, who are too many to be kept by the hour."""

    end_user = models.CharField(max_length=255)
    prompt_version = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_userrollup_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_userrollup_by_time"),
            # Who of those that did much did how much of what: read from the index.
            models.Index(
                fields=["end_user", "begins_at"],
                include=[
                    "workspace",
                    "api_key_id",
                    "feature",
                    "lane",
                    "model_id",
                    "provider_id",
                    "upstream_model",
                    "prompt_version",
                    "cost_usd",
                ],
                name="spend_userrollup_of_users",
            ),
            # And what few did.
            *(models.Index(fields=[column, "begins_at"], name=f"spend_userrollup_of_{name}") for name, column in _OF_FEW.items()),
            # On from a feature to its users is the usual way: read from the index, as those of days and months are.
            models.Index(
                fields=["feature", "begins_at"], include=["workspace", "end_user", "cost_usd"], name="spend_userrollup_of_feature"
            ),
        ]


class UserDayRollup(Sums):
    """By day and end user, whatever they used: what most questions about end users are, from fewer rows."""

    end_user = models.CharField(max_length=255)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_userday_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_userday_by_time"),
            models.Index(fields=["end_user", "begins_at"], name="spend_userday_of_user"),
            models.Index(fields=["begins_at"], include=["workspace", "end_user", "cost_usd"], name="spend_userday_costs"),
        ]


class DayRollup(Summed):
    """By day: what a question about weeks or months reads, but for the hours at its ends."""

    prompt_version = models.CharField(max_length=64, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_dayrollup_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_dayrollup_by_time"),
        ]


class UserMonthRollup(Sums):
    """By month and end user, whatever they used."""

    end_user = models.CharField(max_length=255)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "begins_at"], name="spend_usermonth_of_workspace"),
            models.Index(fields=["begins_at"], name="spend_usermonth_by_time"),
            models.Index(fields=["end_user", "begins_at"], name="spend_usermonth_of_user"),
            # First they are put in order by their costs alone, all of them: these are read from the index.
            models.Index(fields=["begins_at"], include=["end_user", "cost_usd"], name="spend_usermonth_costs"),
        ]


class JobCost(models.Model):
    """What one job cost in all: no more than this within any stretch of time. So the dearest are found among few, not among a million."""

    id = models.UUIDField(primary_key=True, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    begins_at = models.DateTimeField(help_text="Of its rows in the ledgers the first.")
    ends_at = models.DateTimeField(help_text="The last.")
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-cost_usd"], name="spend_jobcost_of_workspace"),
            models.Index(fields=["-cost_usd"], name="spend_jobcost_by_cost"),
            models.Index(fields=["ends_at"], name="spend_jobcost_by_end"),
        ]

    def __str__(self) -> str:
        return f"${self.cost_usd.normalize():f} for batch_{self.job_id.hex}"


class RollupMark(models.Model):
    """How far a ledger is summed up. Written in the transaction that writes the sums, so that no row is ever added twice.

    What a transaction wrote is added once no older transaction runs: whoever commits late is behind the mark, never before it.
    """

    source = models.CharField(primary_key=True, max_length=10)
    before = models.BigIntegerField(help_text="What transactions before this one wrote is in the sums.")
    history_before = models.BigIntegerField(help_text="What was written before this one, or before marks were kept, is added by id.")
    history_after = models.UUIDField(null=True, help_text="How far that has come; empty: to its end.")
    # A worker of the release before moves a mark and adds to the tables that it knows. Then this isn't what belongs to the mark any more.
    seal = models.CharField(max_length=80, db_default="", help_text="Who moved the mark, and to where.")

    def __str__(self) -> str:
        return f"{self.source} until {self.before}"
