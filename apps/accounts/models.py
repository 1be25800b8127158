"""Users, the workspaces that own and pay, who belongs to which, the API keys that speak for one, and the log of who changed what."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django_otp.models import Device, ThrottlingMixin

from apps.lib.ids import uuid7


class User(AbstractUser):
    """A person who signs in to the back office."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Said here as well as by the authenticator's row, so that no page asks for that one.
    second_factor_since = models.DateTimeField("second factor since", null=True, blank=True, editable=False)


class Authenticator(ThrottlingMixin, Device):  # type: ignore[misc]  # django-otp ships no types
    """The app on somebody's phone that shows six digits. Its secret is sealed, its recovery codes are hashed and count once."""

    # Its id stays a number: django-otp keeps it in the session, and reads it as one.
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    secret_sealed = models.TextField(editable=False)
    # The step of time of the last code that was taken: none is taken twice. And how many steps the app's clock is off.
    last_step = models.BigIntegerField(default=-1, editable=False)
    drift = models.SmallIntegerField(default=0, editable=False)
    recovery_hashes = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    # Which SECRET_KEY the hashes were made with; empty: by a release that didn't write it down.
    hashed_under = models.CharField(max_length=12, default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user"], name="accounts_authenticator_once")]

    @property
    def seal_owner(self) -> str:
        """Whom the sealed secret opens for."""
        return f"authenticator:{self.user_id}"

    def get_throttle_factor(self) -> float:
        """After n wrong codes in a row the next one is looked at after 2^(n-1) seconds."""
        return 1.0


class Workspace(models.Model):
    """Who pays and owns; every row that a caller can see belongs to one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, help_text="What people call it; also the name in 'manage.py create_api_key'.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Where its days and months begin, for example Europe/Berlin.")
    has_failover = models.BooleanField(
        "failover", default=True, db_default=True, help_text="Off: only the first target of a model that is switched on is asked."
    )
    keep_bodies_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How long requests and answers are kept. Empty: as the platform does.",
    )
    keep_runs_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="How long attempts are kept. Empty: as the platform does."
    )
    keep_items_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="How long ended items are kept. Empty: as the platform does."
    )
    keep_files_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="How long batch files and results are kept, those that come from now on. 0: until somebody deletes them. "
        "Empty: as the platform does.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # What belongs to it goes bit by bit; the row stays for the charges and audit entries that name it.
    deleting_at = models.DateTimeField("being deleted since", null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="accounts_workspace_name_unique")]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do: a viewer reads, a member also submits, an owner also manages keys and money."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"


class Member(models.Model):
    """A user's place in a workspace."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="accounts_member_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Which keys still open the door."""

    def live(self, *, now: datetime | Now) -> "ApiKeyQuerySet":
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now), revoked_at=None)


class ApiKey(models.Model):
    """A program's way in. Only a keyed hash of the secret is stored; the prefix is for recognising it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(
        max_length=100, default="default", help_text="What this key is for, so that you know what breaks when you revoke it."
    )
    prefix = models.CharField(max_length=20, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    # Which SECRET_KEY the hash was made with; empty: by a release that didn't write it down.
    hashed_under = models.CharField(max_length=12, default="", db_default="", editable=False)
    scopes = ArrayField(models.CharField(max_length=20), help_text="What the key may be used for.")
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [models.UniqueConstraint(fields=["secret_hash"], name="accounts_apikey_hash_unique")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class ActorKind(models.TextChoices):
    """Who can change something."""

    USER = "user", "a person"
    KEY = "key", "an API key"
    COMMAND = "command", "a command"
    PLATFORM = "platform", "the platform"


class AuditEntry(models.Model):
    """Who changed what, when and why. Entries are only ever added: the table itself refuses to change or delete one.

    With one exception: names and texts of a workspace that is being deleted are blanked; ids, times and what was done stay.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField("when", db_default=Now(), editable=False)
    actor_kind = models.CharField("done by", max_length=10, choices=ActorKind)
    # Ids without constraints: an entry outlives whoever it names.
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField("who", max_length=200)
    verb = models.CharField("did", max_length=40)
    object_type = models.CharField("to a", max_length=40)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.CharField("named", max_length=200, blank=True)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True)
    reason = models.CharField("why", max_length=500, blank=True)
    changes = models.JSONField(default=dict, blank=True)
    request_id = models.CharField("request", max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["object_id"], name="accounts_audit_by_object"),
            models.Index(fields=["actor_id"], name="accounts_audit_by_actor"),
            models.Index(fields=["workspace", "id"], name="accounts_audit_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.verb} {self.object_type} {self.object_label}"


class IdempotencyRecord(models.Model):
    """What a request came to that must count once, however often it is sent. Written in the transaction of what it did."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=64)
    # Either the whole answer, sealed (it may hold a new key's secret), or the id of what answers: a single call's item.
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    answer_sealed = models.TextField(blank=True)
    result_id = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "route", "key"], name="accounts_idempotency_once")]
        indexes = [models.Index(fields=["expires_at"], name="accounts_idempotency_expiry")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"

    @property
    def seal_owner(self) -> str:
        """Whom the sealed answer opens for."""
        return f"idempotency:{self.workspace_id}:{self.route}:{self.key}"
