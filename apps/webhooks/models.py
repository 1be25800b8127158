"""Endpoints, the events they are told of, each delivery with its attempts; and alerts. The rows are the outbox: what is due is here."""

from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import public_id, uuid7
from apps.webhooks.domain.alerts import Severity
from apps.webhooks.domain.events import EventType
from apps.webhooks.domain.schedule import Health

ENDPOINT_PREFIX = "we_"
EVENT_PREFIX = "evt_"
DELIVERY_PREFIX = "dlv_"
ALERT_PREFIX = "alert_"


class Endpoint(models.Model):
    """Where a workspace wants its events sent. Secrets are sealed; during a change of secret both of them sign."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="webhook_endpoints")
    name = models.CharField(max_length=100, help_text="What receives them, so that others know it.")
    url = models.CharField("URL", max_length=2000, help_text="Where events are posted; https, a public host.")
    events = ArrayField(models.CharField(max_length=40), help_text="What it is told of.")
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="Off: nothing is sent; what waits is given up, new events pass it by."
    )
    secret_sealed = models.TextField(editable=False)
    previous_secret_sealed = models.TextField(blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)

    failures = models.PositiveIntegerField("failures in a row", default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)
    delivered_at = models.DateTimeField("last delivery", null=True, blank=True, editable=False)
    switched_off_because = models.CharField(max_length=200, blank=True, default="", editable=False)

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "webhook endpoint"
        indexes = [models.Index(fields=["workspace", "created_at", "id"], name="webhooks_endpoint_of")]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return public_id(ENDPOINT_PREFIX, self.id)

    @property
    def seal_owner(self) -> str:
        """Whom the sealed secrets open for."""
        return f"webhook:{self.id}"

    @property
    def health(self) -> Health:
        return Health(failures=self.failures, failing_since=self.failing_since, rests_until=self.rests_until)


class Event(models.Model):
    """Something that became true, written in the transaction that made it so. A thing ends once for each occurrence."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    type = models.CharField(max_length=40, choices=[(kind.value, kind.value) for kind in EventType])
    # What it is about (a job); and which of its ends, none for what may happen any number of times.
    subject_id = models.UUIDField()
    occurrence = models.PositiveIntegerField(null=True)
    payload = models.TextField(help_text="The body that is sent and signed.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject_id", "occurrence"], name="webhooks_event_once")]
        indexes = [models.Index(fields=["created_at"], name="webhooks_event_by_age")]

    def __str__(self) -> str:
        return f"{self.type} {self.public_id}"

    @property
    def public_id(self) -> str:
        return public_id(EVENT_PREFIX, self.id)


class DeliveryState(models.TextChoices):
    """A delivery waits, is being sent, and ends accepted, given up (failed), or cancelled with its endpoint switched off."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (DeliveryState.WAITING, DeliveryState.SENDING)


class Delivery(models.Model):
    """One event for one endpoint. `claim_id` fences what a sender writes; a claim whose lease is over may be taken by another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey("webhooks.Endpoint", on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey("webhooks.Event", on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING, db_default=DeliveryState.WAITING)
    due_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    tries = models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Since it was last sent by hand.")
    attempts_made = models.PositiveSmallIntegerField("attempts", db_default=0, default=0)
    last_status = models.PositiveSmallIntegerField("answered", null=True)
    last_error = models.CharField(max_length=500, db_default="", default="", blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["event", "endpoint"], name="webhooks_delivery_once")]
        indexes = [
            models.Index(fields=["endpoint", "created_at", "id"], name="webhooks_delivery_of"),
            models.Index(fields=["endpoint", "due_at"], condition=models.Q(state__in=["waiting", "sending"]), name="webhooks_delivery_due"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_id(DELIVERY_PREFIX, self.id)


class Attempt(models.Model):
    """One POST and what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey("webhooks.Delivery", on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    sent_at = models.DateTimeField()
    duration_seconds = models.FloatField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    answer = models.TextField(blank=True, default="", help_text="How the answer began.")

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"


class AlertQuerySet(models.QuerySet["Alert"]):
    """Which alerts still hold, and which nobody has taken on."""

    def open(self) -> "AlertQuerySet":
        return self.filter(resolved_at=None)

    def standing(self, *, workspace_id: UUID | None, fingerprint: str) -> "AlertQuerySet":
        """The one that is open for a fingerprint, of a workspace or of the platform."""
        return self.open().filter(models.Q(workspace=workspace_id), fingerprint=fingerprint)

    def unattended(self) -> "AlertQuerySet":
        return self.open().filter(acknowledged_at=None)


class Alert(models.Model):
    """Something that a person should look at. One row is open for a fingerprint; webhooks, e-mail and the banner tell of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # None: it concerns the whole platform, and superusers alone.
    workspace = models.ForeignKey(
        "accounts.Workspace", on_delete=models.CASCADE, null=True, blank=True, related_name="alerts", db_index=False
    )
    kind = models.CharField(max_length=40)
    fingerprint = models.CharField(max_length=200, help_text="Which of its kind it is: while it is open, the same again only counts.")
    severity = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Severity])
    title = models.CharField("what", max_length=200)
    text = models.TextField("what to do")
    path = models.CharField(max_length=500, blank=True, default="", db_default="", help_text="The page where one looks closer.")
    data = models.JSONField(default=dict, blank=True, help_text="For programs.")
    count = models.PositiveIntegerField("seen", default=1, db_default=1, help_text="How often it was noticed while open.")
    tellings = models.PositiveSmallIntegerField(default=1, db_default=1, help_text="How often it was told of: raised, worse, resolved.")
    first_seen_at = models.DateTimeField("since")
    last_seen_at = models.DateTimeField("last seen")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "fingerprint"],
                condition=models.Q(resolved_at=None),
                nulls_distinct=False,
                name="webhooks_alert_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="webhooks_alert_newest"),
            models.Index(fields=["resolved_at"], name="webhooks_alert_by_age"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def public_id(self) -> str:
        return public_id(ALERT_PREFIX, self.id)

    @property
    def state(self) -> str:
        """Open (nobody has taken it on), acknowledged (somebody has), or resolved (it holds no longer)."""
        if self.resolved_at:
            return "resolved"
        return "acknowledged" if self.acknowledged_at else "open"


class MailState(models.TextChoices):
    """A mail waits, is being handed over, and ends sent or given up (failed)."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class Mail(models.Model):
    """One telling of an alert for one person. `claim_id` fences what a sender writes, as with deliveries."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    alert = models.ForeignKey("webhooks.Alert", on_delete=models.CASCADE, related_name="mails", db_index=False)
    telling = models.PositiveSmallIntegerField(help_text="Which of the alert's tellings.")
    is_over = models.BooleanField(default=False, db_default=False)
    severity = models.CharField(max_length=10)
    title = models.CharField(max_length=200)
    text = models.TextField()
    recipient = models.EmailField()
    state = models.CharField(max_length=10, choices=MailState, default=MailState.WAITING, db_default=MailState.WAITING)
    due_at = models.DateTimeField()
    claim_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    tries = models.PositiveSmallIntegerField(db_default=0, default=0)
    last_error = models.CharField(max_length=500, db_default="", default="", blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "telling", "recipient"], name="webhooks_mail_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(state__in=["waiting", "sending"]), name="webhooks_mail_due")]

    def __str__(self) -> str:
        return f"{self.title} to {self.recipient}"
