"""Jobs, their items, the recipes of jobs of documents, and the pumps that run them."""

from datetime import datetime, timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from apps.jobs.domain.lifecycle import ItemState, JobStatus, Lane
from apps.jobs.domain.recipe import NAME, NAME_RULE
from apps.lib.ids import public_id, uuid7

BATCH_PREFIX = "batch_"
BATCH_LINE_PREFIX = "batch_req_"
ITEM_PREFIX = "item_"
RECIPE_PREFIX = "recipe_"
PUMP_RENEW_SECONDS = 5
_PUMP_GONE = timedelta(seconds=PUMP_RENEW_SECONDS * 3)


def _choices(kind: type[Lane] | type[ItemState] | type[JobStatus]) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in kind]


class Job(models.Model):
    """One submission, by `kind`.

    `batch`: a file of requests. `documents`: what a recipe does with them. `index`: their vectors. `single`: a call that somebody awaits.
    Counts, tokens and cost are sums that `settle` keeps; the items are the truth.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="jobs")
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.SET_NULL, null=True, blank=True)
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True)
    kind = models.CharField(max_length=20)
    status = models.CharField(max_length=12, choices=_choices(JobStatus), default=JobStatus.VALIDATING)
    lane = models.CharField(max_length=12, choices=_choices(Lane), default=Lane.DEFAULT)
    endpoint = models.CharField(max_length=50)
    model_name = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="The model that all its lines ask for; empty: several."
    )
    feature = models.CharField(max_length=64, blank=True, db_default="", default="")
    end_user = models.CharField(max_length=255, blank=True, db_default="", default="")
    metadata = models.JSONField(null=True, blank=True)
    max_cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True, blank=True)
    on_budget = models.CharField(max_length=4, choices=[("wait", "wait"), ("fail", "fail")], default="wait", db_default="wait")
    # Budgets live in spend, below; a reference of the claim's hot path has no constraint. Once it is let go, `held_until` says since when.
    held_by_id = models.UUIDField(null=True, blank=True, help_text="The budget that has no room for it: nothing of it is claimed.")
    held_until = models.DateTimeField(null=True, blank=True, help_text="When that budget is fresh again. Empty: when it is raised.")
    held_needs_usd = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, blank=True, help_text="The most that its next item may cost."
    )
    policy = models.JSONField(null=True, blank=True, help_text="How answers are to be come by (providers.domain.policy); null: plainly.")
    first_model_name = models.CharField(max_length=200, blank=True, default="", db_default="", help_text="The model that is asked first.")

    input_file = models.ForeignKey("files.File", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    output_file = models.ForeignKey("files.File", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    error_file = models.ForeignKey("files.File", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    table_file = models.ForeignKey("files.File", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    table = models.JSONField(null=True, blank=True, help_text="How the rows of the table become requests: model, prompts, parameters.")
    output_expires_after_seconds = models.PositiveIntegerField(null=True, blank=True)
    errors = models.JSONField(null=True, blank=True, help_text="Why validation refused it: a list of code, message, param, line.")
    # What the job becomes once no item is open: completed, or expired when its time ran out.
    closes_as = models.CharField(max_length=12, default=JobStatus.COMPLETED, db_default=JobStatus.COMPLETED)

    revision = models.PositiveSmallIntegerField(default=1, db_default=1, help_text="One more for each rerun of what had failed.")
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When it completed first; a rerun leaves it as it is.")

    total = models.PositiveIntegerField(default=0, db_default=0)
    done = models.PositiveIntegerField(default=0, db_default=0)
    dead = models.PositiveIntegerField(default=0, db_default=0)
    input_tokens = models.BigIntegerField(default=0, db_default=0)
    cached_input_tokens = models.BigIntegerField(default=0, db_default=0)
    output_tokens = models.BigIntegerField(default=0, db_default=0)
    reasoning_tokens = models.BigIntegerField(default=0, db_default=0)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, default=0, db_default=0)
    cache_hits = models.PositiveIntegerField(default=0, db_default=0)
    cache_saved_usd = models.DecimalField(max_digits=20, decimal_places=12, default=0, db_default=0)
    first_asked = models.PositiveIntegerField(default=0, db_default=0, help_text="Items that the first model was asked for.")
    first_accepted = models.PositiveIntegerField(default=0, db_default=0)
    first_saved_usd = models.DecimalField(max_digits=20, decimal_places=12, default=0, db_default=0, help_text="Negative: it cost more.")
    repaired = models.PositiveIntegerField(default=0, db_default=0, help_text="Answers that fitted their contract after a repair.")
    # Without an index: recipes are never deleted before their jobs, and few jobs have one.
    recipe = models.ForeignKey("jobs.Recipe", on_delete=models.DO_NOTHING, null=True, blank=True, related_name="jobs", db_index=False)
    collection_id = models.UUIDField(null=True, blank=True, help_text="Where its documents are; the job outlives it.")
    document_count = models.PositiveIntegerField("documents", null=True, blank=True)
    collection_revision = models.BigIntegerField(null=True, blank=True, help_text="What its searches see of the collection: as it began.")
    takes_over = models.BooleanField(
        default=True, db_default=True, help_text="Whether what was asked before isn't asked again: by a recipe."
    )
    advanced = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many items had ended when its next steps were looked for."
    )
    reuses_job_id = models.UUIDField(null=True, blank=True, help_text="The earlier job whose answers to the same requests it takes over.")
    reused = models.PositiveIntegerField(default=0, db_default=0, help_text="Items whose answers were taken over; they count as done.")

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    cancelling_at = models.DateTimeField(null=True, blank=True)
    finishing_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "created_at", "id"], name="jobs_job_by_workspace"),
            models.Index(fields=["workspace", "id"], name="jobs_job_newest"),
            models.Index(fields=["lane", "workspace", "id"], condition=models.Q(status=JobStatus.RUNNING), name="jobs_job_running"),
            models.Index(fields=["status"], condition=models.Q(ended_at=None), name="jobs_job_open"),
            models.Index(fields=["held_by_id"], condition=models.Q(ended_at=None, held_by_id__isnull=False), name="jobs_job_held"),
        ]

    def __str__(self) -> str:
        return self.public_id

    def is_held(self, now: datetime) -> bool:
        """Whether it waits for a budget: one that is not fresh again by then."""
        return self.ended_at is None and self.held_by_id is not None and (self.held_until is None or self.held_until > now)

    @property
    def name(self) -> str:
        """What people know it by: the file that they sent, the recipe and how many documents; a single call by its model."""
        if self.recipe and self.document_count:
            return f"{self.recipe}, {self.document_count:,} document{'' if self.document_count == 1 else 's'}"
        file = self.table_file or self.input_file
        return file.filename if file else self.model_name or self.kind

    @property
    def public_id(self) -> str:
        return public_id(BATCH_PREFIX, self.id)


class Item(models.Model):
    """One unit of work. `run_id` fences every write after a claim; ids grow with the line's position."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="items", db_index=False)
    # Implied by the job, kept here for the claim; no constraint, so that COPY doesn't check it row by row.
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    model_id = models.UUIDField()
    lane = models.CharField(max_length=12)
    position = models.PositiveIntegerField(help_text="The line in the input file, counted from 1.")
    custom_id = models.CharField(max_length=64)
    end_user = models.CharField(max_length=255, db_default="")
    feature = models.CharField(max_length=64, db_default="")
    prompt_version = models.CharField(max_length=64, default="", db_default="", help_text="Which version of a prompt it was made from.")
    request_body_id = models.BinaryField(max_length=32)
    reply_to = models.CharField(max_length=64, db_default="", help_text="The channel of the web process whose caller waits.")

    state = models.CharField(max_length=10, choices=_choices(ItemState), default=ItemState.WAITING, db_default=ItemState.WAITING)
    not_before = models.DateTimeField(db_default=Now())
    run_id = models.UUIDField(null=True)
    pump_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(db_default=0, help_text="Runs whose failure counted.")
    ambiguous_tries = models.PositiveSmallIntegerField(db_default=0)
    free_tries = models.PositiveSmallIntegerField(db_default=0, help_text="Runs that ended before anything was sent, or were throttled.")
    losses = models.PositiveSmallIntegerField(db_default=0, help_text="Claims that ended without an outcome.")
    lost_at = models.DateTimeField(null=True)
    stage = models.PositiveSmallIntegerField(db_default=0, help_text="Where the next run begins (providers.domain.calls.Stage).")
    paid_calls = models.PositiveSmallIntegerField(db_default=0, help_text="Its charges; the next one's seq.")
    answered_by = models.CharField(max_length=12, db_default="", help_text="cache, first_model, model, repair or reuse; empty: plainly.")
    reused_item_id = models.UUIDField(null=True, help_text="The item of an earlier job that its answer was given to.")

    answer_body_id = models.BinaryField(max_length=32, null=True)
    draft_body_id = models.BinaryField(
        max_length=32, null=True, help_text="Of a dead item that calls tools: what it goes on from when it is requeued."
    )
    status_code = models.PositiveSmallIntegerField(null=True)
    outcome = models.CharField(max_length=20, db_default="")
    error_code = models.CharField(max_length=100, db_default="")
    error_message = models.TextField(db_default="")
    input_tokens = models.BigIntegerField(db_default=0)
    output_tokens = models.BigIntegerField(db_default=0)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, db_default=0)
    ended_at = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=16, default="", db_default="", help_text="The same for what died of the same.")
    discarded_at = models.DateTimeField(null=True, help_text="When somebody decided that it stays dead.")

    class Meta:
        indexes = [
            models.Index(fields=["job", "id"], name="jobs_item_by_job"),
            models.Index(fields=["job", "not_before", "id"], condition=models.Q(state=ItemState.WAITING), name="jobs_item_waiting"),
            models.Index(fields=["job"], condition=models.Q(state=ItemState.RUNNING), name="jobs_item_running"),
            models.Index(fields=["job"], condition=models.Q(state=ItemState.WAITING, losses__gte=2), name="jobs_item_suspect"),
            models.Index(fields=["job", "id"], condition=models.Q(state=ItemState.DEAD), name="jobs_item_dead"),
            models.Index(
                fields=["workspace", "fingerprint"], condition=models.Q(state=ItemState.DEAD, discarded_at=None), name="jobs_item_triage"
            ),
            # For people who look: what is theirs, what died or waits, newest first; when it died; and what a caller calls it.
            models.Index(fields=["workspace", "id"], name="jobs_item_newest"),
            models.Index(fields=["id"], condition=models.Q(state=ItemState.DEAD), name="jobs_item_dead_newest"),
            models.Index(fields=["id"], condition=models.Q(state=ItemState.WAITING), name="jobs_item_waiting_newest"),
            models.Index(fields=["ended_at"], condition=models.Q(state=ItemState.DEAD), name="jobs_item_dead_at"),
            models.Index(fields=["custom_id", "id"], name="jobs_item_by_custom_id"),
            # Those that wait for the budget of an end user or a feature.
            models.Index(
                fields=["workspace"], condition=models.Q(state=ItemState.WAITING, error_code="budget_exhausted"), name="jobs_item_held"
            ),
            # In the order that they are let go.
            models.Index(
                fields=["id"], condition=models.Q(state=ItemState.WAITING, error_code="budget_exhausted"), name="jobs_item_held_by_id"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_id(ITEM_PREFIX, self.id)


class Recipe(models.Model):
    """One version of a recipe: how documents become answers. Never changed; another content is another number of the same name."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="recipes", db_index=False)
    name = models.CharField(
        max_length=50,
        validators=[RegexValidator(rf"\A{NAME.pattern}\Z", NAME_RULE)],
        help_text="What jobs call it by: small letters, digits, '.', '_' and '-'.",
    )
    number = models.PositiveIntegerField(editable=False)
    kind = models.CharField(max_length=20, help_text="extract, classify, summarise, ask, custom, cascade; or steps, which says its own.")
    description = models.CharField(max_length=500, blank=True, default="", help_text="What it is for.")
    # JSON as it was written: jsonb would sort the keys, and the order of a schema's is the order that answers are written in.
    declared = models.TextField(help_text="As it was declared.")
    plan = models.TextField(help_text="The steps that come of it (jobs.domain.recipe.Plan).")
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Since when new jobs can't use it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name", "number"], name="jobs_recipe_number")]

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"

    @property
    def public_id(self) -> str:
        return public_id(RECIPE_PREFIX, self.id)


class DocumentState(models.TextChoices):
    """Where a document of a job stands: on its way, with an answer, or without one for a reason."""

    OPEN = "open"
    ANSWERED = "answered"
    FAILED = "failed"


class JobDocument(models.Model):
    """One document of a job, and which version of it. Document and version stand without constraint: the answer outlives them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="documents", db_index=False)
    position = models.PositiveIntegerField(help_text="Counted from 1.")
    document_id = models.UUIDField()
    version_id = models.UUIDField()
    version_number = models.PositiveIntegerField()
    name = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=DocumentState, default=DocumentState.OPEN, db_default=DocumentState.OPEN)
    step = models.CharField(max_length=50, db_default="", default="", help_text="The step that it failed at; empty: it couldn't be read.")
    error_code = models.CharField(max_length=100, db_default="", default="")
    error_message = models.TextField(db_default="", default="")
    answer_item_id = models.UUIDField(null=True, help_text="The item whose answer is the document's.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "position"], name="jobs_jobdocument_position")]
        indexes = [
            models.Index(fields=["job", "position"], condition=models.Q(state="open"), name="jobs_jobdocument_open"),
            models.Index(fields=["document_id", "id"], name="jobs_jobdocument_document"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version_number}"


class StepItem(models.Model):
    """What an item of a recipe's step is of. Beside the item, because items of batches have none of it.

    `round` counts how often results have been grouped; `part` counts parts, or groups of a round, from 0. The index of places makes an
    item exist once, however often a job is advanced; `input_hash` finds an answer to the very same input.
    """

    item_id = models.UUIDField(primary_key=True, editable=False)
    job_id = models.UUIDField()
    job_document_id = models.UUIDField(null=True, help_text="Empty: the step asks once for the whole job.")
    step = models.CharField(max_length=50)
    round = models.PositiveSmallIntegerField(db_default=0, default=0)
    part = models.PositiveIntegerField(db_default=0, default=0)
    input_hash = models.BinaryField(max_length=32, help_text="SHA-256 over the request and how its answer is come by.")
    snapshot_id = models.CharField(max_length=64, db_default="", default="", help_text="What was retrieved for it.")
    given = models.PositiveSmallIntegerField(null=True, help_text="How many of its passages the request has room for, the best first.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job_id", "step", "job_document_id", "round", "part"], name="jobs_stepitem_place", nulls_distinct=False
            )
        ]
        indexes = [models.Index(fields=["input_hash"], name="jobs_stepitem_input")]

    def __str__(self) -> str:
        return f"{self.step} {self.round}.{self.part} of {self.item_id}"


class Correction(models.Model):
    """What a person says an answer should have been. Rows are added, never changed; the newest counts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="corrections", db_index=False)
    item_id = models.UUIDField()
    answer = models.TextField()
    note = models.CharField(max_length=500, blank=True, default="", help_text="Why.")
    created_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["item_id", "id"], name="jobs_correction_item"),
            models.Index(fields=["job", "id"], name="jobs_correction_job"),
        ]

    def __str__(self) -> str:
        return f"correction of {self.item_id}"


class Aside(models.Model):
    """A budget of an end user or a feature for which items have gone aside, so that the sweep sees when it has room again.

    Written in the claim that sets them aside: whoever raises the budget at that very moment can't see them yet.
    """

    # Budgets live in spend, below; a reference of the claim has no constraint.
    budget_id = models.UUIDField(primary_key=True, editable=False)
    needs_usd = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, help_text="The most that the cheapest may cost of those that aren't being recalled."
    )
    recalled_usd = models.DecimalField(
        max_digits=20, decimal_places=12, null=True, help_text="The same of those that are being recalled, or were when that broke off."
    )
    run_id = models.UUIDField(help_text="The run that was refused last.")

    def __str__(self) -> str:
        return f"aside for {self.budget_id}"


class PumpState(models.TextChoices):
    """A pump claims, then drains (what is in the air is settled), then ends."""

    CLAIMING = "claiming"
    DRAINING = "draining"
    ENDED = "ended"


class PumpQuerySet(models.QuerySet["Pump"]):
    """Which pumps are alive, by the Postgres clock."""

    def alive(self, worker_set: str) -> "PumpQuerySet":
        return self.filter(worker_set=worker_set, ended_at=None, renewed_at__gt=Now() - _PUMP_GONE)

    def gone(self) -> "PumpQuerySet":
        return self.filter(renewed_at__lte=Now() - _PUMP_GONE)

    def claiming(self, worker_set: str) -> "PumpQuerySet":
        return self.alive(worker_set).filter(state=PumpState.CLAIMING, is_isolating=False)


class Pump(models.Model):
    """One run of `jobs.run_items` in a worker's child; alive while `renewed_at` is fresh."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    worker_set = models.CharField(max_length=20)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=PumpState, default=PumpState.CLAIMING)
    is_isolating = models.BooleanField(default=False, help_text="Runs only items whose earlier claims were lost.")
    replaces_id = models.UUIDField(null=True, help_text="The pump that this one was rung to replace.")
    window = models.PositiveIntegerField()
    in_flight = models.PositiveIntegerField(db_default=0, default=0)
    done = models.PositiveBigIntegerField(db_default=0, default=0)
    dead = models.PositiveBigIntegerField(db_default=0, default=0)
    started_at = models.DateTimeField(db_default=Now())
    renewed_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = PumpQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["worker_set", "hostname"], condition=models.Q(ended_at=None), name="jobs_pump_live")]

    def __str__(self) -> str:
        return f"{self.worker_set} pump {self.pid}@{self.hostname}"
