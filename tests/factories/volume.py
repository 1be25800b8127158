# ruff: noqa: E501 -- statements read better with a column list on one line
"""Tables with some thousand rows, and a planner that knows it: what a list reads of them can be counted."""

from django.db import connection

from apps.accounts.models import Workspace
from apps.jobs.models import Job
from tests.conftest import AUDIT_LOG
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job, make_route

JOBS, ITEMS_OF_EACH = 20, 200
TABLES = ("jobs_job", "jobs_item", "traces_run", "traces_exchange", "spend_charge", "files_file", "accounts_auditentry")

_ITEMS = """
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, request_body_id, state, run_id, outcome, error_code, ended_at)
SELECT uuidv7(), %s, %s, %s, 'default', n, 'line-' || %s || '-' || n, '', CASE WHEN n = 7 THEN 'dead' WHEN n = 8 THEN 'waiting' ELSE 'done' END,
    uuidv7(), CASE n WHEN 7 THEN 'rejected' WHEN 8 THEN '' ELSE 'ok' END, CASE n WHEN 7 THEN 'too_long' ELSE '' END, now()
FROM generate_series(1, %s) AS n
"""
_RUNS = """
INSERT INTO traces_run (id, workspace_id, job_id, item_id, attempt, outcome, decision, claimed_at, ended_at)
SELECT run_id, workspace_id, job_id, id, 1, outcome, state, now(), now() FROM jobs_item ORDER BY id
"""
_EXCHANGES = """
INSERT INTO traces_exchange (id, workspace_id, run_id, provider_id, target_id, upstream_model, path, outcome, provider_request_id, sent_at,
    duration_seconds)
SELECT uuidv7(), workspace_id, run_id, %s, %s, 'simulated', '/', outcome, 'req-' || custom_id, now(), 1 FROM jobs_item ORDER BY id
"""
_CHARGES = """
INSERT INTO spend_charge (id, workspace_id, job_id, item_id, run_id, model_id, provider_id, upstream_model, lane, input_tokens, output_tokens, cost_usd)
SELECT uuidv7(), workspace_id, job_id, id, run_id, model_id, %s, 'simulated', lane, 1, 1, 1 FROM jobs_item ORDER BY id
"""


def fill_tables(owner: Workspace, *, old: int = ITEMS_OF_EACH) -> list[Job]:
    """Jobs with some thousand items, their runs, exchanges and charges; the first job of `old` ones, the oldest rows, is `owner`'s."""
    jobs = []
    with connection.cursor() as cursor:
        # In files of their own until the rollback: what earlier tests rolled back still stands in the old indexes and would be counted.
        cursor.execute(AUDIT_LOG.format("DISABLE"))
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        cursor.execute(AUDIT_LOG.format("ENABLE"))
        route, other = make_route(), make_workspace("busy")
        for number in range(JOBS):
            items = ITEMS_OF_EACH if number else old
            job = make_job(workspace=other if number else owner, done=0, dead=0, running=0, waiting=0, total=items)
            cursor.execute(_ITEMS, (job.id, job.workspace_id, route.model.id, number, items))
            jobs.append(job)
        cursor.execute(_RUNS)
        cursor.execute(_EXCHANGES, (route.provider.id, route.target.id))
        cursor.execute(_CHARGES, (route.provider.id,))
        for table in TABLES:
            cursor.execute(f"ANALYZE {table}")
    return jobs


def rows_read(*tables: str) -> int:
    """Rows and index entries of these tables that this transaction has read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE oid = ANY(%s::regclass[])"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY(%s::regclass[]))",
            (list(tables), list(tables)),
        )
        return int(cursor.fetchone()[0])
