# ruff: noqa: E501 -- statements read better with a column list on one line
"""How long the page of providers takes to say how they stand, after a busy day: by default 10,000 and 1,000,000 requests of 20 targets.

    python -m bench desk [--quick]

All requests and charges are of today, half of them of the last hour; as many items wait as were asked for. The page is asked for while nothing is
remembered of the day (`first`) and then five times; and the page of what waits. Writes bench/results/<date>-desk.json.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.lib.redis_client import redis_client
from apps.providers.actions import remember_usage
from apps.providers.models import Model, Provider, Target
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY, field_name
from bench.harness import CHAT, declare_model, prepare
from bench.report import print_table, write_results

TARGET_MS = 300
_PROVIDERS, _MODELS = 4, 5
_TIMES = 5

_PLAN = """
CREATE TEMP TABLE plan AS
SELECT n, %(targets)s::uuid[] AS targets, 1 + n %% %(number)s AS target,
    CASE WHEN n %% 2 = 0 THEN least(interval '1 hour', now() - date_trunc('day', now(), 'UTC')) ELSE now() - date_trunc('day', now(), 'UTC') END * (random()) AS age,
    CASE WHEN n %% 100 = 7 THEN 'throttled' WHEN n %% 100 = 8 THEN 'failed_upstream' WHEN n %% 500 = 9 THEN 'ambiguous' ELSE 'ok' END AS outcome
FROM generate_series(1, %(calls)s) AS n
"""
_EXCHANGES = """
INSERT INTO traces_exchange (id, workspace_id, run_id, provider_id, target_id, upstream_model, path, outcome, status_code, provider_request_id, sent_at,
    first_byte_seconds, duration_seconds)
SELECT uuidv7(- age), %(workspace)s, uuidv7(), target.provider_id, target.id, target.upstream_model, '/v1/chat/completions', outcome,
    CASE outcome WHEN 'ok' THEN 200 WHEN 'throttled' THEN 429 ELSE 500 END, 'req-' || n, now() - age, 0.5 + random(), 1 + random()
FROM plan JOIN providers_target AS target ON target.id = targets[plan.target] ORDER BY age DESC
"""
_CHARGES = """
INSERT INTO spend_charge (id, workspace_id, job_id, item_id, run_id, model_id, provider_id, upstream_model, lane, input_tokens, output_tokens, cost_usd, created_at)
SELECT uuidv7(- age), %(workspace)s, uuidv7(), uuidv7(), uuidv7(), target.model_id, target.provider_id, target.upstream_model, 'default', 400, 100, 0.000125, now() - age
FROM plan JOIN providers_target AS target ON target.id = targets[plan.target] WHERE outcome = 'ok' ORDER BY age DESC
"""
_COUNTS = "SELECT target_id, outcome, floor(extract(epoch FROM sent_at) / %s)::int8 * %s, count(*) FROM traces_exchange GROUP BY 1, 2, 3"
# One big job of each model, and 2,000 of a line each, as single calls are.
_JOBS = """
INSERT INTO jobs_job (id, workspace_id, kind, status, lane, endpoint, model_name, total, created_at, started_at)
SELECT uuidv7(), %(workspace)s, 'batch', 'running', 'default', %(chat)s, model.name, %(calls)s / %(models)s, now(), now() FROM providers_model AS model
UNION ALL SELECT uuidv7(), %(workspace)s, 'batch', 'running', 'default', %(chat)s, '', 1, now(), now() FROM generate_series(1, 2000)
"""
_ITEMS = """
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, request_body_id)
SELECT uuidv7(), job.id, job.workspace_id, coalesce((SELECT id FROM providers_model WHERE name = job.model_name), %(model)s), 'default', n, 'line-' || n, '\\x00'
FROM jobs_job AS job CROSS JOIN LATERAL generate_series(1, job.total) AS n
"""


def _declare() -> dict[str, Any]:
    workspace, model = declare_model("http://127.0.0.1:9/v1")  # nothing is called here
    providers = [Provider.objects.create(name=f"desk-{n}", base_url="http://127.0.0.1:9/v1") for n in range(_PROVIDERS)]
    models = [Model.objects.create(name=f"desk-{n}") for n in range(_MODELS)]
    targets = [
        Target.objects.create(model=one, provider=provider, upstream_model=f"upstream-{one.name}", position=position).id
        for one in models
        for position, provider in enumerate(providers)
    ]
    return {"workspace": workspace.id, "model": model.id, "targets": targets, "number": len(targets), "models": _MODELS + 1, "chat": CHAT}


def _seed(values: dict[str, Any], calls: int) -> None:
    """The rows by statements over sets; the counters as settle would have left them."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("TRUNCATE jobs_item, jobs_job, traces_exchange, spend_charge CASCADE")
        for statement in ("DROP TABLE IF EXISTS plan", _PLAN, _EXCHANGES, _CHARGES, _JOBS, _ITEMS):
            cursor.execute(statement, values | {"calls": calls})
        for table in ("traces_exchange", "spend_charge", "jobs_job", "jobs_item"):
            cursor.execute(f"VACUUM ANALYZE {table}")
        redis_client().flushdb()
        with redis_client().pipeline(transaction=False) as pipeline:
            pipeline.set(SINCE_KEY, "2020-01-01T00:00:00+00:00")
            for slots in (LAST_HOUR, LAST_DAY):
                cursor.execute(_COUNTS, [slots.seconds, slots.seconds])
                for target_id, outcome, at, number in cursor.fetchall():
                    pipeline.hincrby(slots.key(at), field_name(target_id, outcome), number)
            pipeline.execute()


def _milliseconds(ask: Callable[[], Any]) -> float:
    started = time.perf_counter()
    ask()
    return round((time.perf_counter() - started) * 1000, 1)


def _measure(client: Client, calls: int) -> list[dict[str, Any]]:
    desk, waiting = reverse("admin:providers_provider_desk"), reverse("admin:jobs_item_by_model")
    client.get("/admin/login/")
    first = _milliseconds(lambda: client.get(desk))
    redis_client().delete(*redis_client().keys("aiplatform:usage*"))
    beat = _milliseconds(lambda: remember_usage(now=timezone.now()))
    rows = [{"calls": calls, "page": "desk, nothing remembered", "median_ms": first, "worst_ms": first}]
    rows.append({"calls": calls, "page": "the day's usage, remembered by beat", "median_ms": beat, "worst_ms": beat})
    for name, path in (("desk", desk), ("what waits", waiting)):
        taken = [_milliseconds(lambda path=path: client.get(path)) for _ in range(_TIMES + 1)][1:]
        rows.append({"calls": calls, "page": name, "median_ms": round(statistics.median(taken), 1), "worst_ms": max(taken)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 requests alone; no figures are written")
    arguments = parser.parse_args()
    prepare()
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None), backend=settings.AUTHENTICATION_BACKENDS[-1])
    values = _declare()
    found: list[dict[str, Any]] = []
    for calls in (10_000,) if arguments.quick else (10_000, 1_000_000):
        _seed(values, calls)
        found += _measure(client, calls)
    print_table(found)
    slower = [row for row in found if row["page"] in {"desk", "what waits"} and row["median_ms"] > TARGET_MS]
    print(f"{len(slower)} slower than {TARGET_MS} ms")
    write_results("desk", {"target_ms": TARGET_MS, "targets": values["number"], "pages": found}, quick=arguments.quick)
