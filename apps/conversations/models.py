"""What was said: conversations, their turns and summaries; and what is remembered of a person, as events and as what they come to.

A turn takes the number behind the conversation's version when it begins: the constraint lets one in, so one state has one next turn.
"""

from django.db import models
from django.db.models.functions import Now

from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.domain.state import CONVERSATION_PREFIX, State
from apps.lib.ids import public_id, uuid7

TURN_PREFIX = "turn_"
PROFILE_PREFIX = "profile_"


class Conversation(models.Model):
    """What was said with somebody, and how the next turn is asked. `version` is the number of its last answered turn."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="conversations", db_index=False)
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    title = models.CharField(max_length=200, blank=True, default="", help_text="What people know it by.")
    end_user = models.CharField(max_length=255, blank=True, default="", help_text="Who speaks: what is remembered is remembered of them.")
    model_name = models.CharField("model", max_length=200, help_text="Who answers, where a turn names nobody else.")
    instructions = models.TextField(blank=True, default="", help_text="What the model is told first, in each turn.")
    collection_id = models.UUIDField(null=True, blank=True, help_text="The collection whose passages each turn is answered from.")
    window_tokens = models.PositiveIntegerField(
        default=8192, help_text="How much the model reads at once. What was said before is cut, or summarised, to fit."
    )
    on_conflict = models.CharField(
        max_length=6,
        choices=[(policy.value, policy.value) for policy in OnConflict],
        default=OnConflict.RETRY,
        help_text="What becomes of a turn when the conversation isn't any more what its sender had read.",
    )
    # The same for all that were forked from one: their common turns have the same hashes.
    root_id = models.UUIDField(editable=False)
    forked_from_id = models.UUIDField(null=True, blank=True, editable=False, help_text="The conversation that it began as a part of.")
    forked_at_version = models.PositiveIntegerField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    tip_hash = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "id"], name="conversations_newest"),
            models.Index(fields=["workspace", "end_user", "id"], name="conversations_of_user"),
        ]

    def __str__(self) -> str:
        return self.title or self.public_id

    @property
    def public_id(self) -> str:
        return public_id(CONVERSATION_PREFIX, self.id)


class TurnState(models.TextChoices):
    """`open`: the model is being asked. `failed`: it didn't answer; the conversation is as it was before."""

    OPEN = "open"
    ANSWERED = "answered"
    FAILED = "failed"


class Turn(models.Model):
    """What was asked in a state, and the answer, which makes the next one. `number` is the version that it makes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="turns", db_index=False)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=TurnState, default=TurnState.OPEN, db_default=TurnState.OPEN)
    item_id = models.UUIDField(help_text="The item that asks the model (jobs).")
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    copied_from_id = models.UUIDField(null=True, blank=True, help_text="The turn that was asked, where this is a fork's copy.")

    input = models.TextField(blank=True, default="", help_text="What was said. Empty: results of tools that the caller ran.")
    messages = models.JSONField(null=True, blank=True, help_text="The messages as they came, when they are more than a text.")
    answer = models.TextField(blank=True, default="")
    tool_calls = models.JSONField(null=True, blank=True, help_text="The calls of the caller's tools that the answer asks for.")
    input_tokens = models.PositiveIntegerField(default=0, help_text="Of the text as it stands, counted offline.")
    answer_tokens = models.PositiveIntegerField(default=0)

    # The state that it began from: number - 1 is the version.
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32, null=True)
    memory_seq = models.BigIntegerField(default=0, help_text="The last memory event that its sender's memory was made of.")
    query_key = models.CharField(max_length=64, blank=True, default="")
    snapshot_id = models.CharField(max_length=64, blank=True, default="", help_text="What it was answered from (knowledge).")
    summary_id = models.UUIDField(null=True, blank=True, help_text="The summary that stood for the turns before the window.")
    report = models.JSONField(null=True, blank=True, help_text="What each section of the request took, and what was cut.")
    read_version = models.PositiveIntegerField(null=True, blank=True, help_text="The version that its sender had read, where it said one.")
    resolution = models.CharField(
        max_length=8, blank=True, default="", help_text="How a conflict was resolved: waited, moved (asked in a newer state) or forked."
    )
    error_code = models.CharField(max_length=100, blank=True, default="")
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, default=0, help_text="Of its item, when it ended.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "number"], condition=~models.Q(state=TurnState.FAILED), name="conversations_turn_one_next"
            ),
            models.UniqueConstraint(fields=["item_id"], condition=models.Q(copied_from_id=None), name="conversations_turn_of_item"),
        ]
        indexes = [
            models.Index(fields=["conversation", "number", "id"], name="conversations_turn_in_order"),
            models.Index(fields=["id"], condition=models.Q(state=TurnState.OPEN), name="conversations_turn_open"),
            models.Index(fields=["workspace", "id"], name="conversations_turn_newest"),
        ]

    def __str__(self) -> str:
        return f"turn {self.number}"

    @property
    def public_id(self) -> str:
        return public_id(TURN_PREFIX, self.id)

    @property
    def asked_in(self) -> State:
        """The state that it began from."""
        return State(self.number - 1, bytes(self.previous_hash), self.memory_seq)


class Summary(models.Model):
    """What the turns up to a number come to, told in their place once they don't fit the window. Written by an item of a `summary` job."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, related_name="summaries", db_index=False)
    upto = models.PositiveIntegerField(help_text="The last turn that it tells of.")
    upto_hash = models.BinaryField(max_length=32)
    item_id = models.UUIDField()
    state = models.CharField(max_length=8, choices=TurnState, default=TurnState.OPEN, db_default=TurnState.OPEN)
    text = models.TextField(blank=True, default="")
    tokens = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "summaries"
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "upto"], condition=~models.Q(state=TurnState.FAILED), name="conversations_summary_once"
            ),
        ]
        indexes = [models.Index(fields=["id"], condition=models.Q(state=TurnState.OPEN), name="conversations_summary_open")]

    def __str__(self) -> str:
        return f"summary up to turn {self.upto}"


class Profile(models.Model):
    """What is remembered of a person now: what its events come to (`conversations.domain.memory`)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="profiles", db_index=False)
    end_user = models.CharField(max_length=255)
    memory = models.JSONField(default=dict, blank=True)
    seq = models.BigIntegerField(default=0, db_default=0, help_text="Its last event.")
    tip_hash = models.BinaryField(max_length=32, help_text="The hash of its last event.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "end_user"], name="conversations_profile_of_user")]

    def __str__(self) -> str:
        return self.end_user

    @property
    def public_id(self) -> str:
        return public_id(PROFILE_PREFIX, self.id)


class MemoryEvent(models.Model):
    """One change of what is remembered of a person. Never changed; a trigger holds to that, too."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    profile = models.ForeignKey("conversations.Profile", on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=[("set", "set"), ("forget", "forget")])
    key = models.CharField(max_length=100)
    text = models.TextField(blank=True, default="")
    source = models.CharField(max_length=8, choices=[("staff", "staff"), ("api", "api"), ("tool", "tool")])
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    item_id = models.UUIDField(null=True, blank=True, help_text="The item whose model had it remembered.")
    once_key = models.CharField(max_length=200, blank=True, default="", help_text="The same change under the same key is one event.")
    why = models.CharField(max_length=500, blank=True, default="")
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["profile", "seq"], name="conversations_memory_in_order"),
            models.UniqueConstraint(fields=["profile", "once_key"], condition=~models.Q(once_key=""), name="conversations_memory_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Probe(models.Model):
    """One look whether conversations and memory agree with themselves. Never edited; those that found nothing are kept for a month."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    checked_at = models.DateTimeField(editable=False)
    seconds = models.FloatField(help_text="How long the look took.")
    conversations = models.PositiveIntegerField(help_text="Conversations whose turns were read.")
    turns = models.PositiveIntegerField(help_text="Turns whose hashes were computed again.")
    profiles = models.PositiveIntegerField(help_text="People whose memory was computed again.")
    events = models.PositiveIntegerField(help_text="Events of memory that were read for it.")
    retrievals = models.PositiveIntegerField(help_text="Turns whose snapshot was compared with the pin, and with each other.")
    open_turns = models.PositiveIntegerField(help_text="Turns that were open, and are held against their items.")
    # Running counters as they stood then; they begin anew when Redis loses its data.
    pins_won = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Retrievals that were pinned to a state.")
    pins_lost = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Retrievals that came second, and took the winner's.")
    pins_read = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Retrievals that read what was pinned before.")
    rejected = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Turns that were not asked: their state had moved on.")
    # Each with `kind`, `workspace`, `on` (conversation or profile), `id` and `text`; no names and nothing that was said.
    findings = models.JSONField(default=list)
    is_whole = models.BooleanField("all agree", help_text="Whether nothing was found.")

    class Meta:
        indexes = [models.Index(fields=["checked_at"], name="conversations_probe_by_time")]

    def __str__(self) -> str:
        return f"{self.checked_at:%Y-%m-%d %H:%M} UTC"
