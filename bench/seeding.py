# ruff: noqa: E501 -- statements read better with a column list on one line
"""Tables as they stand after a month of work, filled by statements over sets: half of the items in one job, the others in 9,999."""

import json
import time
from typing import Any

from django.db import connection

from apps.accounts.actions import ensure_workspace
from apps.accounts.models import Workspace
from apps.providers.models import Model, Target
from apps.traces.domain.bodies import make_body
from bench.harness import CHAT, MODEL

JOBS = 10_000
WORKSPACES = 20

# Every row's time, and so its id, grows with its number; each job's items follow each other, as validation writes them.
_PLAN_JOBS = """
CREATE TEMP TABLE plan_job AS
SELECT n, uuidv7((n - %(jobs)s) * interval '30 days' / %(jobs)s) AS id, uuidv7() AS input_id, uuidv7() AS output_id,
       now() + (n - %(jobs)s) * interval '30 days' / %(jobs)s AS at,
       CASE WHEN n = %(big)s THEN %(workspace)s ELSE (%(workspaces)s::uuid[])[1 + n %% %(number)s] END AS workspace_id
FROM generate_series(1, %(jobs)s) AS n
"""
_PLAN = """
CREATE TEMP TABLE plan AS
SELECT n, uuidv7((n - %(items)s) * interval '30 days' / %(items)s) AS id, uuidv7((n - %(items)s) * interval '30 days' / %(items)s)
       AS run_id, CASE WHEN n <= %(items)s / 2 THEN %(big)s ELSE 1 + (n - 1 - %(items)s / 2)::bigint * %(jobs)s / (%(items)s - %(items)s / 2) END AS job_number,
       now() + (n - %(items)s) * interval '30 days' / %(items)s AS at,
       CASE WHEN n %% 100 = 7 THEN 'dead' WHEN n %% 1000 = 3 THEN 'waiting' ELSE 'done' END AS state
FROM generate_series(1, %(items)s) AS n
"""
_FILES = """
INSERT INTO files_file (id, workspace_id, purpose, filename, size_bytes, sha256, storage_key, created_at)
SELECT input_id, workspace_id, 'batch', 'questions-' || n || '.jsonl', 5000, repeat('a', 64), input_id::text, at FROM plan_job
UNION ALL SELECT output_id, workspace_id, 'batch_output', 'answers-' || n || '.jsonl', 9000, repeat('b', 64), output_id::text, at FROM plan_job
"""
_JOBS = """
INSERT INTO jobs_job (id, workspace_id, kind, status, lane, endpoint, model_name, feature, on_budget, closes_as, revision, input_file_id, output_file_id,
    total, done, dead, input_tokens, output_tokens, cost_usd, created_at, started_at, ended_at)
SELECT id, workspace_id, 'batch', CASE WHEN n = %(big)s OR n %% 500 = 1 THEN 'running' WHEN n %% 50 = 2 THEN 'failed' ELSE 'completed' END,
    CASE WHEN n %% 3 = 0 THEN 'bulk' ELSE 'default' END, %(chat)s, %(model_name)s, 'feature-' || n %% 30, 'wait', 'completed', 1, input_id, output_id,
    coalesce(counts.total, 0), coalesce(counts.done, 0), coalesce(counts.dead, 0), 400, 100, 0.0125, at, at,
    CASE WHEN n = %(big)s OR n %% 500 = 1 THEN NULL ELSE at + interval '1 hour' END
FROM plan_job LEFT JOIN (SELECT job_number, count(*) AS total, count(*) FILTER (WHERE state = 'done') AS done,
    count(*) FILTER (WHERE state = 'dead') AS dead FROM plan GROUP BY job_number) AS counts ON counts.job_number = n
"""
_ITEMS = """
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, request_body_id, state, run_id, attempts, answer_body_id,
    status_code, outcome, error_code, error_message, input_tokens, output_tokens, cost_usd, ended_at)
SELECT plan.id, plan_job.id, plan_job.workspace_id, %(model)s, CASE WHEN plan_job.n %% 3 = 0 THEN 'bulk' ELSE 'default' END, plan.n, 'line-' || plan.n,
    sha256(('request' || plan.n)::bytea), state, CASE WHEN state <> 'waiting' THEN run_id END, (state = 'dead')::int,
    CASE WHEN state = 'done' THEN sha256(('answer' || plan.n)::bytea) END, CASE state WHEN 'done' THEN 200 WHEN 'dead' THEN 400 END,
    CASE state WHEN 'done' THEN 'ok' WHEN 'dead' THEN 'rejected' ELSE '' END, CASE WHEN state = 'dead' THEN 'context_length_exceeded' ELSE '' END,
    CASE WHEN state = 'dead' THEN 'The prompt is too long.' ELSE '' END, 400, 100, 0.000125, CASE WHEN state <> 'waiting' THEN plan.at END
FROM plan JOIN plan_job ON plan_job.n = job_number ORDER BY plan.n
"""
_BODIES = """
INSERT INTO traces_body (id, workspace_id, content, size_bytes, created_at)
SELECT sha256(('request' || plan.n)::bytea), workspace_id, %(request)s, %(request_size)s, plan.at FROM plan JOIN plan_job ON plan_job.n = job_number
UNION ALL SELECT sha256(('answer' || plan.n)::bytea), workspace_id, %(answer)s, %(answer_size)s, plan.at
FROM plan JOIN plan_job ON plan_job.n = job_number WHERE state = 'done'
"""
_RUNS = """
INSERT INTO traces_run (id, workspace_id, job_id, item_id, attempt, outcome, decision, error_code, claimed_at, ended_at)
SELECT run_id, workspace_id, plan_job.id, plan.id, 1, CASE state WHEN 'done' THEN 'ok' ELSE 'rejected' END, state,
    CASE WHEN state = 'dead' THEN 'context_length_exceeded' ELSE '' END, plan.at, plan.at
FROM plan JOIN plan_job ON plan_job.n = job_number WHERE state <> 'waiting' ORDER BY plan.n
"""
_EXCHANGES = """
INSERT INTO traces_exchange (id, workspace_id, run_id, provider_id, target_id, upstream_model, path, outcome, status_code, provider_request_id, sent_at,
    duration_seconds, answer_body_id)
SELECT uuidv7((n - %(items)s) * interval '30 days' / %(items)s), workspace_id, run_id, %(provider)s, %(target)s, 'simulated', '/chat/completions',
    CASE state WHEN 'done' THEN 'ok' ELSE 'rejected' END, CASE state WHEN 'done' THEN 200 ELSE 400 END, 'req-' || n, at, 1.2,
    CASE WHEN state = 'done' THEN sha256(('answer' || n)::bytea) END
FROM (SELECT plan.*, workspace_id FROM plan JOIN plan_job ON plan_job.n = job_number WHERE state <> 'waiting') AS ended ORDER BY n
"""
_CHARGES = """
INSERT INTO spend_charge (id, workspace_id, job_id, item_id, run_id, model_id, provider_id, upstream_model, feature, lane, input_tokens, output_tokens,
    cost_usd, created_at)
SELECT uuidv7((n - %(items)s) * interval '30 days' / %(items)s), workspace_id, job_id, id, run_id, %(model)s, %(provider)s, 'simulated',
    'feature-' || job_number %% 30, 'default', 400, 100, 0.000125, at
FROM (SELECT plan.*, workspace_id, plan_job.id AS job_id FROM plan JOIN plan_job ON plan_job.n = job_number WHERE state = 'done') AS done ORDER BY n
"""
_TABLES = ("files_file", "jobs_job", "jobs_item", "traces_body", "traces_run", "traces_exchange", "spend_charge")


def seed(workspace: Workspace, model: Model, *, items: int) -> dict[str, Any]:
    """Fill the tables; the big job is the workspace's, the others are shared out. Says how many rows there are and how long it took."""
    target = Target.objects.filter(model=model)[0]
    others = [ensure_workspace(name=f"workspace-{number}").id for number in range(WORKSPACES)]
    request = make_body(
        workspace.id, json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "What is seven times six? " * 15}]}).encode()
    )
    answer = make_body(workspace.id, json.dumps({"choices": [{"message": {"role": "assistant", "content": "It is 42. " * 30}}]}).encode())
    values: dict[str, Any] = {
        "jobs": JOBS, "items": items, "big": JOBS // 2, "workspace": workspace.id, "workspaces": others, "number": WORKSPACES,
        "chat": CHAT, "model_name": MODEL, "model": model.id, "provider": target.provider_id, "target": target.id,
        "request": request.content, "request_size": request.size_bytes, "answer": answer.content, "answer_size": answer.size_bytes,
    }  # fmt: skip
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for statement in (
            _PLAN_JOBS,
            _PLAN,
            "ANALYZE plan",
            "ANALYZE plan_job",
            _FILES,
            _JOBS,
            _ITEMS,
            _BODIES,
            _RUNS,
            _EXCHANGES,
            _CHARGES,
        ):
            cursor.execute(statement, values)
        for table in _TABLES:
            cursor.execute(f"VACUUM ANALYZE {table}")
        seconds = time.perf_counter() - started
        rows = {}
        for table in _TABLES:
            cursor.execute(f"SELECT count(*) FROM {table}")
            rows[table] = cursor.fetchone()[0]
    return {"seconds": round(seconds, 1), "rows": rows}
