"""Providers (who can answer, with one credential each), models (what callers ask for), targets (who answers for a model)."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import public_id, uuid7
from apps.lib.sealing import SealInvalidError, unseal
from apps.providers.domain.base_url import WHAT_IT_MUST_BE, is_base_url
from apps.providers.domain.key_ending import ending_of
from apps.providers.domain.kinds import KINDS, USUAL_KIND

TOTAL_TIMEOUT_LIMIT_SECONDS = 900
PROVIDER_PREFIX = "prov_"
TARGET_PREFIX = "target_"


def validate_base_url(text: str) -> None:
    """Refuses what the adapters can't post to."""
    if not is_base_url(text):
        raise ValidationError(f"The address {WHAT_IT_MUST_BE}")


class Provider(models.Model):
    """An endpoint with one credential; two keys of one company are two providers."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, help_text="A short name of your own, for example openai-team-a.")
    kind = models.CharField(max_length=20, choices=list(KINDS.items()), default=USUAL_KIND)
    # Not a URLField: that one refuses hosts without a dot, as containers have.
    base_url = models.CharField(
        max_length=500, validators=[validate_base_url], help_text="Up to and including the version, for example https://api.openai.com/v1."
    )
    api_key_sealed = models.TextField(blank=True, default="", editable=False)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Input and output together. Empty: no limit.")
    input_tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="For providers that count input and output apart, as Anthropic does. Empty: no limit."
    )
    output_tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="For providers that count input and output apart, as Anthropic does. Empty: no limit."
    )
    max_concurrency = models.PositiveIntegerField(null=True, blank=True, help_text="Calls in the air at once. Empty: no limit.")
    connect_timeout_seconds = models.FloatField(default=5.0, validators=[MinValueValidator(0.1)])
    read_timeout_seconds = models.FloatField(
        default=300.0, validators=[MinValueValidator(0.1)], help_text="The longest silence between two pieces of an answer."
    )
    total_timeout_seconds = models.FloatField(
        default=300.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(TOTAL_TIMEOUT_LIMIT_SECONDS)],
        help_text="The longest a call may take in all; at most 900.",
    )
    is_enabled = models.BooleanField(default=True)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Nothing is sent to it until somebody resumes it.")
    paused_reason = models.CharField(max_length=500, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], name="providers_provider_name_unique"),
            models.CheckConstraint(
                condition=models.Q(total_timeout_seconds__lte=TOTAL_TIMEOUT_LIMIT_SECONDS), name="providers_provider_total_timeout"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_owner(self) -> str:
        """What its key is bound to: moved to another row it doesn't open."""
        return f"provider:{self.id}"

    @property
    def key_ending(self) -> str | None:
        """What is shown of its key, opened for that and kept nowhere; empty without one and of a short one, None when it doesn't open."""
        if not self.api_key_sealed:
            return ""
        try:
            return ending_of(unseal(self.api_key_sealed, keys=settings.ENCRYPTION_KEYS, owner=self.seal_owner))
        except SealInvalidError:
            return None

    @property
    def public_id(self) -> str:
        return public_id(PROVIDER_PREFIX, self.id)


class Model(models.Model):
    """What callers name in `model`; its targets say who answers, in failover order."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, help_text="What callers write in 'model'.")
    max_output_tokens = models.PositiveIntegerField(default=4096)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="providers_model_name_unique")]

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """One provider's model that can answer for ours; the lowest position is asked first."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey("providers.Model", on_delete=models.CASCADE, related_name="targets")
    provider = models.ForeignKey("providers.Provider", on_delete=models.CASCADE, related_name="targets")
    upstream_model = models.CharField(max_length=200, help_text="The provider's own name for the model.")
    position = models.PositiveSmallIntegerField(default=0, help_text="Failover order: 0 is asked first.")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: the provider's limit alone.")
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Input and output together. Empty: the provider's limit alone."
    )
    input_tokens_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: the provider's limit alone.")
    output_tokens_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: the provider's limit alone.")
    is_enabled = models.BooleanField(default=True)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Nothing is sent to it until somebody resumes it.")
    paused_reason = models.CharField(max_length=500, blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["model", "position"]
        constraints = [
            models.UniqueConstraint(fields=["model", "provider", "upstream_model"], name="providers_target_once"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_model} at {self.provider}"

    @property
    def public_id(self) -> str:
        return public_id(TARGET_PREFIX, self.id)


class TransitionRecord(models.Model):
    """What happened to a provider or to one of its targets, kept for a month."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.ForeignKey("providers.Provider", on_delete=models.CASCADE, related_name="+", db_index=False)
    target = models.ForeignKey("providers.Target", on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    what = models.CharField(max_length=20)
    seconds = models.FloatField(null=True)
    note = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="providers_transition_by_time")]

    def __str__(self) -> str:
        return f"{self.what} at {self.at:%Y-%m-%d %H:%M:%S}"


class CacheEntry(models.Model):
    """An answer that may be given again. The key holds the workspace, so no two workspaces ever share an entry."""

    key = models.BinaryField(primary_key=True, max_length=32, help_text="SHA-256 over the workspace and the canonical request.")
    # No constraint, as the bodies that entries point to have none: both are written thousands of times a second.
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    answer_body_id = models.BinaryField(max_length=32)
    status_code = models.PositiveSmallIntegerField()
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, help_text="What asking had cost.")
    run_id = models.UUIDField(help_text="The run that asked.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "cache entries"
        indexes = [models.Index(fields=["expires_at"], name="providers_cacheentry_expiry")]

    def __str__(self) -> str:
        return bytes(self.key).hex()
