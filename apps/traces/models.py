"""What happened: one Run per attempt, its Exchanges with providers, the Effects of tools, and the bodies they refer to, each stored once.

No foreign key points here and none is checked from here: these tables grow fastest and are to be partitioned by time.
"""

from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import uuid7


class Body(models.Model):
    """Bytes, compressed with zstd; the id is the SHA-256 over the workspace's id and the content."""

    id = models.BinaryField(primary_key=True, max_length=32)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    content = models.BinaryField()
    size_bytes = models.IntegerField(help_text="Before compression.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="traces_body_by_age")]
        verbose_name_plural = "bodies"

    def __str__(self) -> str:
        return bytes(self.id).hex()


class Run(models.Model):
    """One attempt at one item; `id` is the `run_id` that every other record of the attempt carries."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    job_id = models.UUIDField()
    item_id = models.UUIDField()
    pump_id = models.UUIDField(null=True)
    attempt = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=20)
    decision = models.CharField(max_length=20, help_text="What was decided about the item: done, retry, snooze or dead.")
    error_code = models.CharField(max_length=100, db_default="")
    error_message = models.TextField(db_default="")
    claimed_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["item_id"], name="traces_run_by_item"),
            models.Index(fields=["workspace", "id"], name="traces_run_newest"),
        ]

    def __str__(self) -> str:
        return f"run_{self.id.hex}"


class Exchange(models.Model):
    """One HTTP request to a provider and its answer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    run_id = models.UUIDField()
    provider_id = models.UUIDField()
    target_id = models.UUIDField()
    upstream_model = models.CharField(max_length=200)
    path = models.CharField(max_length=100)
    outcome = models.CharField(max_length=20)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(db_default="")
    provider_request_id = models.CharField(max_length=255, db_default="")
    headers = models.JSONField(null=True, help_text="The rate-limit and retry headers of the answer.")
    sent_at = models.DateTimeField()
    first_byte_seconds = models.FloatField(null=True)
    duration_seconds = models.FloatField()
    answer_body_id = models.BinaryField(max_length=32, null=True)

    class Meta:
        indexes = [
            models.Index(fields=["run_id"], name="traces_exchange_by_run"),
            models.Index(fields=["workspace", "id"], name="traces_exchange_newest"),
            models.Index(fields=["provider_request_id"], condition=~models.Q(provider_request_id=""), name="traces_exchange_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} at {self.sent_at:%Y-%m-%d %H:%M:%S} UTC"


class Effect(models.Model):
    """One call of a tool that a model asked for; `seq` and `place` say in which of the item's answers it stood, and where.

    A row without an end is a tool that runs, or that was cut short: what it did is not known.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    item_id = models.UUIDField()
    run_id = models.UUIDField(help_text="The run that began it.")
    seq = models.PositiveSmallIntegerField(help_text="The charge of the answer that asked for it.")
    place = models.PositiveSmallIntegerField(help_text="Which of the answer's calls, from 0.")
    tool = models.CharField(max_length=64)
    side_effect = models.CharField(max_length=5, help_text="pure, read or write; empty for a tool that there is not.", db_default="")
    arguments_body_id = models.BinaryField(max_length=32)
    result_body_id = models.BinaryField(max_length=32, null=True)
    outcome = models.CharField(max_length=10, db_default="", help_text="ok, failed, refused, timeout or unknown; empty: it has no end.")
    snapshot_id = models.CharField(max_length=64, db_default="", help_text="What it had found in a collection.")
    state = models.CharField(max_length=64, db_default="", help_text="Of the conversation that the model was asked in; empty: in none.")
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item_id", "seq", "place"], name="traces_effect_place")]

    def __str__(self) -> str:
        return f"{self.tool} of {self.item_id}"
