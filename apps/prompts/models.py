"""Prompts and their numbered versions. What a version says never changes once it has been published; a trigger holds to that, too."""

import orjson
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from apps.lib.ids import public_id, uuid7
from apps.prompts.domain.content import NAME, NAME_RULE, PromptContent, PublishedPrompt, read_content

PROMPT_PREFIX = "prompt_"


class Prompt(models.Model):
    """A name that requests can use. `current_number` is the version that they get who name none; None: nothing is published."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="prompts", db_index=False)
    name = models.CharField(
        max_length=50,
        validators=[RegexValidator(rf"\A{NAME.pattern}\Z", NAME_RULE)],
        help_text="What requests call it by: small letters, digits, '.', '_' and '-'.",
    )
    description = models.CharField(max_length=500, blank=True, default="", help_text="What it is for.")
    current_number = models.PositiveIntegerField("current version", null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="prompts_prompt_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return public_id(PROMPT_PREFIX, self.id)


class VersionState(models.TextChoices):
    """A draft is worked on; what is published can be used and never changes; what is archived can be published again."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class PromptVersion(models.Model):
    """One version of a prompt. A prompt has at most one draft."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prompt = models.ForeignKey("prompts.Prompt", on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=VersionState, default=VersionState.DRAFT)
    system = models.TextField(blank=True, default="")
    user = models.TextField(blank=True, default="")
    variables = models.JSONField(default=list, blank=True)
    model_name = models.CharField("model", max_length=200, blank=True, default="")
    # JSON as it was written: jsonb would sort the keys, and the order of a schema's is the order that answers are written in.
    parameters = models.TextField(blank=True, default="{}")
    output_schema = models.TextField(blank=True, default="", help_text="Empty: answers are texts.")
    note = models.CharField(max_length=500, blank=True, default="", help_text="What is different in it.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "prompt version"
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="prompts_promptversion_number"),
            models.UniqueConstraint(fields=["prompt"], condition=models.Q(state="draft"), name="prompts_promptversion_one_draft"),
            models.CheckConstraint(condition=models.Q(state__in=VersionState.values), name="prompts_promptversion_state"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name}@{self.number}"

    @property
    def mark(self) -> str:
        """Another after each time that it is saved."""
        return self.updated_at.isoformat()

    @property
    def content(self) -> PromptContent:
        return read_content(
            system=self.system,
            user=self.user,
            variables=self.variables,
            model=self.model_name,
            parameters=orjson.loads(self.parameters),
            output_schema=orjson.loads(self.output_schema) if self.output_schema else None,
            is_kept=True,
        )

    def as_published(self, name: str) -> PublishedPrompt:
        return PublishedPrompt(name, self.number, self.content)
