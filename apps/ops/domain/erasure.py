"""What goes with a workspace, in which order, and what stays without names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """Rows of one table. `which` says which of them, by the alias `kept`; `by_id`: the table is big and read in the order of its ids.

    `bodies`: columns whose bodies go with a row. `blank`: the rows stay, and these columns lose what they say.
    """

    table: str
    which: str = "kept.workspace_id = %(workspace)s"
    key: str = "id"
    by_id: bool = False
    bodies: tuple[str, ...] = ()
    blank: tuple[tuple[str, str], ...] = ()

    @property
    def statement(self) -> str:
        """One bite: how many rows, and the last of their ids."""
        which = f"({self.which})"
        if self.blank:
            which += " AND NOT (" + " AND ".join(f"kept.{column} IS NOT DISTINCT FROM {value}" for column, value in self.blank) + ")"
        order = ""
        if self.by_id:
            which, order = f"{which} AND kept.{self.key} > %(after)s", f" ORDER BY kept.{self.key}"
        last = "max(id::text)" if self.by_id else "NULL"
        return (
            f"WITH chosen AS (SELECT kept.{self.key} AS id FROM {self.table} AS kept WHERE {which}{order} LIMIT %(limit)s), "  # noqa: S608 -- our own names
            f"{self._change} SELECT count(*), {last} FROM chosen"
        )

    @property
    def _change(self) -> str:
        chosen = f"{self.key} IN (SELECT id FROM chosen)"  # noqa: S608 -- our own names
        if self.blank:
            values = ", ".join(f"{column} = {value}" for column, value in self.blank)
            return f"gone AS (UPDATE {self.table} SET {values} WHERE {chosen})"  # noqa: S608 -- our own names
        if not self.bodies:
            return f"gone AS (DELETE FROM {self.table} WHERE {chosen})"  # noqa: S608 -- our own names
        theirs = " UNION ".join(f"SELECT {column} FROM gone" for column in self.bodies)  # noqa: S608 -- our own names
        return (
            f"gone AS (DELETE FROM {self.table} WHERE {chosen} RETURNING {', '.join(self.bodies)}), "  # noqa: S608 -- our own names
            f"bodies AS (DELETE FROM traces_body WHERE id IN ({theirs}) AND workspace_id = %(workspace)s)"
        )


def _of(table: str, column: str) -> str:
    """Rows that belong to the workspace by another row."""
    return f"kept.{column} IN (SELECT parent.id FROM {table} AS parent WHERE parent.workspace_id = %(workspace)s)"  # noqa: S608 -- our own names


_BUDGETS = f"kept.workspace_id = %(workspace)s OR {_of('accounts_apikey', 'api_key_id')} OR {_of('jobs_job', 'job_id')}"
_PERIODS = f"kept.budget_id IN (SELECT id FROM spend_budget AS kept WHERE {_BUDGETS})"  # noqa: S608 -- our own names
_ATTEMPTS = "kept.delivery_id IN (SELECT d.id FROM webhooks_delivery AS d JOIN webhooks_endpoint AS e ON e.id = d.endpoint_id WHERE e.workspace_id = %(workspace)s)"  # noqa: E501 -- one line reads best
_VERSIONS = "kept.document_id IN (SELECT d.id FROM knowledge_document AS d JOIN knowledge_collection AS c ON c.id = d.collection_id WHERE c.workspace_id = %(workspace)s)"  # noqa: E501 -- one line reads best

# What tells others first, so that nothing more goes out; then the work; then what let it in. Rows that others point to go after them.
BEFORE_FILES = (
    Step("webhooks_attempt", _ATTEMPTS),
    Step("webhooks_delivery", _of("webhooks_endpoint", "endpoint_id")),
    Step("webhooks_event"),
    Step("webhooks_endpoint"),
    Step("webhooks_mail", _of("webhooks_alert", "alert_id")),
    Step("webhooks_alert"),
    Step("traces_exchange", by_id=True, bodies=("answer_body_id",)),
    Step("traces_effect", by_id=True, bodies=("arguments_body_id", "result_body_id")),
    Step("traces_run", by_id=True),
    Step("jobs_item", by_id=True, bodies=("request_body_id", "answer_body_id", "draft_body_id")),
    Step("jobs_stepitem", _of("jobs_job", "job_id"), key="item_id", by_id=True),
    Step("jobs_correction", _of("jobs_job", "job_id")),
    Step("jobs_jobdocument", _of("jobs_job", "job_id")),
    Step("spend_budgetperiod", _PERIODS),
    Step("spend_budget", _BUDGETS),
    Step("spend_hourlypace", by_id=True),
    Step("jobs_job"),
    Step("jobs_recipe"),
    Step("conversations_turn", by_id=True),
    Step("conversations_summary", _of("conversations_conversation", "conversation_id")),
    Step("conversations_conversation"),
    Step("conversations_memoryevent", _of("conversations_profile", "profile_id"), by_id=True),
    Step("conversations_profile"),
    Step("prompts_promptversion", _of("prompts_prompt", "prompt_id")),
    Step("prompts_prompt"),
    Step("knowledge_pin"),
    Step("knowledge_snapshot"),
    Step("knowledge_chunk", _of("knowledge_collection", "collection_id"), by_id=True),
    Step("knowledge_documentversion", _VERSIONS),
    Step("knowledge_document", _of("knowledge_collection", "collection_id")),
    Step("knowledge_collection"),
    Step("providers_cacheentry", key="key"),
    Step("traces_body"),
)
AFTER_FILES = (
    Step("accounts_idempotencyrecord"),
    Step("accounts_member"),
    Step("accounts_apikey"),
    Step("spend_charge", by_id=True, blank=(("end_user", "''"), ("feature", "''"), ("prompt_version", "''"), ("usage", "NULL"))),
    Step("spend_waste", by_id=True, blank=(("end_user", "''"), ("feature", "''"), ("prompt_version", "''"))),
    Step("spend_saving", by_id=True, blank=(("end_user", "''"), ("feature", "''"), ("prompt_version", "''"))),
    # After what they sum up: what is added to them from now on has no names either.
    Step("spend_rollup", by_id=True, blank=(("feature", "''"),)),
    Step("spend_quarterrollup", by_id=True, blank=(("feature", "''"), ("prompt_version", "''"))),
    Step("spend_jobrollup", by_id=True, blank=(("feature", "''"), ("prompt_version", "''"))),
    Step("spend_dayrollup", by_id=True, blank=(("feature", "''"), ("prompt_version", "''"))),
    Step("spend_userdayrollup", by_id=True, blank=(("end_user", "''"),)),
    Step("spend_usermonthrollup", by_id=True, blank=(("end_user", "''"),)),
    Step("spend_userrollup", by_id=True, blank=(("end_user", "''"), ("feature", "''"), ("prompt_version", "''"))),
    Step(
        "accounts_auditentry",
        by_id=True,
        blank=(
            ("actor_label", "''"), ("object_label", "''"), ("reason", "''"), ("request_id", "''"), ("address", "''"),
            ("changes", "'{}'::jsonb"),
        ),
    ),
)  # fmt: skip
# Emptied by files.actions, with their bytes.
FILES = ("files_part", "files_upload", "files_file")
# Ledgers and sums without a name in them.
UNTOUCHED = ("spend_reservation", "spend_resolution", "spend_jobcost")
