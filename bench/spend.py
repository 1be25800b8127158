# ruff: noqa: E501 -- statements read better with a column list on one line
"""How long questions about spend take with 10,000,000 charges, written by COPY: a month of 20 workspaces, one of which has a third of it.

    python -m bench spend [--quick] [--charges 10000000] [--history]

First it times the roll-up of all of them, with the memory of this process (--history: as after an upgrade, when rows had no transaction's
number). Then every question that a program asks, and every page in PAGES, is asked five times in this process: server time without a
network. Prints a table, and writes bench/results/<date>-spend.json.
"""

import argparse
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import psycopg
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.accounts.actions import create_api_key, ensure_workspace
from apps.accounts.domain.keys import Scope
from apps.accounts.models import Workspace
from apps.providers.models import Model, Provider
from apps.spend.actions import roll_up
from apps.spend.models import JobRollup, Rollup, UserRollup
from apps.spend.queries.entries import JOB_COSTS, TABLES
from bench.harness import declare_model, prepare
from bench.report import print_table, write_results
from bench.volume import TIMES_IN_ALL, Ask, measure, sign_in

TARGET_MS = 300
_WORKSPACES, _KEYS, _FEATURES, _USERS, _JOBS, _MODELS, _PROVIDERS = 20, 3, 10, 100_000, 10_000, 4, 2
_AT_ONCE = 50_000
# A tenth are single calls, each a job of its own; a twentieth are further calls of an item, of another model. A job, and a user, has one
# feature, key and lane. Most features have a prompt, with a new version every three days; a tenth of the jobs try the next one, too.
_ROWS = """
COPY (
    SELECT uuidv7(at - now()), (%(workspaces)s::uuid[])[workspace], CASE WHEN is_single THEN uuidv7(at - now()) ELSE md5('job' || job_number)::uuid END, uuidv7(at - now()),
        is_further::int::int2, uuidv7(at - now()), (%(models)s::uuid[])[model], (%(providers)s::uuid[])[1 + model %% %(number_of_providers)s], 'upstream-' || model,
        (%(keys)s::uuid[])[(workspace - 1) * %(keys_each)s + 1 + kind %% %(keys_each)s], CASE WHEN n %% 4 = 0 THEN '' ELSE 'user-' || user_number || '@' || workspace || '.example.org' END,
        'feature-' || kind, CASE WHEN is_single THEN 'interactive' WHEN kind %% 3 = 0 THEN 'bulk' ELSE 'default' END,
        200 + n %% 400, n %% 50, 0::int8, 50 + n %% 100, n %% 20, '{"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500}'::jsonb, '{"input": "0.15", "output": "0.60"}'::jsonb,
        0.0001 + (n %% 1000) * 0.000000321, CASE WHEN kind < 8 THEN 'prompt-' || kind || '@' || floor(extract(epoch FROM at) / 259200)::int8 + (job_number %% 10 = 0 AND n %% 40 < 20)::int ELSE '' END, at{number}
    FROM (
        SELECT *, CASE WHEN is_single THEN user_number ELSE job_number END %% %(features)s AS kind, 1 + (job_number + is_further::int) %% %(number_of_models)s AS model
        FROM (SELECT *, n %% 10 = 9 AS is_single, n %% 20 = 3 AS is_further, floor(%(users)s / %(number_of_workspaces)s * power(random(), 2))::int8 AS user_number,
                  CASE WHEN job_number %% 3 = 0 THEN 1 ELSE 1 + job_number %% %(number_of_workspaces)s END AS workspace
              FROM (SELECT n, n * %(jobs)s / %(charges)s / 20 * 20 + n %% 20 AS job_number,
                        %(began_at)s::timestamptz + n * interval '30 days' / %(charges)s AS at
                    FROM generate_series(%(first)s::int8, %(last)s::int8) AS n) AS plan) AS drawn
    ) AS planned
) TO STDOUT (FORMAT binary)
"""
_COLUMNS = (
    "id, workspace_id, job_id, item_id, seq, run_id, model_id, provider_id, upstream_model, api_key_id, end_user, feature, lane, input_tokens,"
    " cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage, prices, cost_usd, prompt_version, created_at"
)
_DIMENSIONS = ("api_key", "end_user", "feature", "job", "lane", "model", "prompt_version", "provider", "upstream_model")
# What the back office's page is asked, once it is there: name of the route, and queries.
PAGES: dict[str, tuple[str, ...]] = {
    "spend_charge_overview": (
        *("", "?period=last_month", "?period=7d", "?period=today", "?feature=feature-1&by=job", "?by=end_user&moved=1"),
        *("?by=job&moved=1", "?by=end_user&moved=1&period=today", "?feature=feature-1&by=end_user", "?end_user={user}&by=model"),
        *("?end_user={user}&by=day", "?period=7d&by=end_user", "?lane=bulk&by=end_user", "?lane=interactive&by=end_user&moved=1"),
        *("?upstream_model=upstream-2&by=end_user", "?upstream_model=upstream-2&period=7d&by=end_user"),
        *(f"?by={by}" for by in ("workspace", *_DIMENSIONS, "day")),
    ),
    "spend_charge_overview_csv": ("?by=feature", "?by=end_user"),
}


def api_questions(workspace: Workspace) -> Iterator[Ask]:
    """A program's: this month, the last thirty days, cut at both ends, today; by every dimension, on from one to the next, as courses."""
    now = timezone.now().replace(microsecond=0)
    times = (
        "",
        "&period=today",
        f"&since={now - timedelta(days=30):%Y-%m-%d}",
        f"&since={now - timedelta(days=20, minutes=7):%Y-%m-%dT%H:%M}&until={now - timedelta(days=2, minutes=7):%Y-%m-%dT%H:%M}",
    )
    job = JobRollup.objects.filter(workspace=workspace).values_list("job_id", flat=True)[0]
    user = _a_user(workspace)
    for time_ in times:
        yield Ask("key", f"/api/spend?x{time_}")
        yield from (Ask("key", f"/api/spend/parts?by={by}{time_}") for by in _DIMENSIONS)
        yield from (Ask("key", f"/api/spend/movers?by={by}{time_}") for by in ("feature", "end_user", "job"))
        yield Ask("key", f"/api/spend/course?step=day{time_}")
        yield from (
            Ask("key", f"/api/spend/parts?by=end_user&{part}{time_}") for part in ("feature=feature-1", "model=model-1", "lane=bulk")
        )
        yield Ask("key", f"/api/spend/parts?by=job&feature=feature-1{time_}")
        yield Ask("key", f"/api/spend/parts?by=feature&job=batch_{job.hex}{time_}")
        yield Ask("key", f"/api/spend/parts?by=model&end_user={user}{time_}")
        yield Ask("key", f"/api/spend/course?step=day&end_user={user}{time_}")
    yield Ask("key", "/api/spend/course?step=hour&feature=feature-1")
    yield Ask("key", "/api/spend/parts.csv?by=feature")


def page_questions(workspace: Workspace) -> Iterator[Ask]:
    """Staff's."""
    user = _a_user(workspace)
    for name, queries in PAGES.items():
        path = reverse(name)
        yield from (Ask(who, f"{path}{query.format(user=user)}") for who in ("superuser", "viewer") for query in queries)


def _a_user(workspace: Workspace) -> str:
    return UserRollup.objects.filter(workspace=workspace).exclude(end_user="").values_list("end_user", flat=True)[0]


def look(workspace: Workspace, *, pages: str = "") -> list[dict[str, Any]]:
    """Every question, the slowest first; the workspace's days begin in UTC, and then elsewhere."""
    clients, found = sign_in(workspace), list[dict[str, Any]]()
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        Workspace.objects.filter(id=workspace.id).update(time_zone=zone)
        asked = [ask for ask in (*api_questions(workspace), *page_questions(workspace)) if re.search(pages, f"{ask.who} {ask.path}")]
        found += [{"zone": zone} | figures for ask in asked if (figures := _measure(clients[ask.who], ask))]
    return sorted(found, key=lambda row: -float(row["worst_ms"]))


def _measure(client: Any, ask: Ask) -> dict[str, Any] | None:
    """With what the processors worked for it, here and in Postgres: where the machine does other work, the clock tells of that, too."""
    began = _worked_seconds()
    figures = measure(client, ask)
    worked = _worked_seconds() - began
    return figures and figures | {"cpu_ms": round(worked * 1000 / TIMES_IN_ALL, 1)}


def _worked_seconds() -> float:
    connection.ensure_connection()
    pids = os.getpid(), connection.connection.info.backend_pid
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def seed(workspace: Workspace, *, charges: int, is_history: bool) -> dict[str, Any]:
    """Fill the ledger by COPY, so many rows a transaction; says how long it took and how big it is."""
    workspaces = [workspace.id, *(ensure_workspace(name=f"workspace-{number}").id for number in range(1, _WORKSPACES))]
    keys = [create_api_key(workspace_id=one, name=f"key {n}", scopes=(Scope.CHAT,)).key.id for one in workspaces for n in range(_KEYS)]
    values = {
        "workspaces": workspaces, "number_of_workspaces": len(workspaces), "keys": keys, "keys_each": _KEYS,
        "models": [Model.objects.create(name=f"model-{number}").id for number in range(_MODELS)], "number_of_models": _MODELS,
        "providers": [Provider.objects.create(name=f"provider-{number}", base_url="http://127.0.0.1:9/v1").id for number in range(_PROVIDERS)],
        "number_of_providers": _PROVIDERS, "users": _USERS, "features": _FEATURES, "jobs": _JOBS, "charges": charges,
        "began_at": timezone.now() - timedelta(days=30),
    }  # fmt: skip
    started = time.perf_counter()
    number, column = (", NULL::int8", ", transaction_id") if is_history else ("", "")
    with psycopg.ClientCursor(_connect()) as out, _connect().cursor() as into:
        into.execute("SET synchronous_commit = off")
        for first in range(1, charges + 1, _AT_ONCE):
            part = values | {"first": first, "last": min(charges, first + _AT_ONCE - 1)}
            with (
                out.copy(_ROWS.replace("{number}", number), part) as rows,
                into.copy(f"COPY spend_charge ({_COLUMNS}{column}) FROM STDIN (FORMAT binary)") as copy,
            ):
                for block in rows:
                    copy.write(block)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE spend_charge")
        cursor.execute("SELECT pg_total_relation_size('spend_charge') / 2 ^ 20, pg_relation_size('spend_charge_by_transaction') / 2 ^ 20")
        size, of_index = cursor.fetchone()
    return {
        "charges": charges,
        "seconds": round(time.perf_counter() - started, 1),
        "megabytes": round(size),
        "of_the_index_by_transaction": round(of_index),
    }


def _connect() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def catch_up() -> dict[str, Any]:
    """All of it by one roll-up; and how much bigger this process and its widest table of sums became."""
    process = psutil.Process()
    before, started = process.memory_info().rss, time.perf_counter()
    rows = roll_up(seconds=3600).rows
    seconds = time.perf_counter() - started
    with connection.cursor() as cursor:
        for table in (*(table.name for table in TABLES), JOB_COSTS):
            cursor.execute(f"VACUUM ANALYZE {table}")
    return {
        "rows": rows, "seconds": round(seconds, 1), "rows_a_second": round(rows / seconds), "more_memory_mb": round((process.memory_info().rss - before) / 2**20, 1),
        "rollups": Rollup.objects.count(), "by_job": JobRollup.objects.count(), "by_user": UserRollup.objects.count(),
    }  # fmt: skip


def report(found: list[dict[str, Any]], seeded: dict[str, Any], rolled: dict[str, Any], *, is_kept: bool) -> None:
    """The table; and the figures in a file."""
    columns = ("zone", "who", "page", "status", "p50_ms", "worst_ms", "cpu_ms", "queries", "slowest_query_ms")
    kept = [{name: row[name] for name in columns} for row in found]
    print_table(kept)
    slow = [row for row in found if row["p50_ms"] > TARGET_MS]
    print(f"{len(found)} questions, {len(slow)} of them slower than {TARGET_MS} ms; load {os.getloadavg()}")
    write_results(
        "spend",
        {
            "seeded": seeded,
            "rolled_up": rolled,
            "target_ms": TARGET_MS,
            "load_after": os.getloadavg(),
            "slower": len(slow),
            "questions": kept,
        },
        quick=not is_kept,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--charges", type=int, default=10_000_000)
    parser.add_argument("--history", action="store_true", help="rows as they were before they had a transaction's number")
    parser.add_argument("--pages", default="", metavar="REGEX", help="ask for these alone; no figures are written")
    parser.add_argument("--quick", action="store_true", help="a tenth of the charges; no figures are written")
    arguments = parser.parse_args()
    prepare()
    workspace, _ = declare_model("http://127.0.0.1:9/v1")  # nothing is called here
    roll_up()  # of nothing: what follows is new, not history
    seeded = seed(workspace, charges=arguments.charges // (10 if arguments.quick else 1), is_history=arguments.history)
    print(f"seeded: {seeded}", flush=True)
    rolled = catch_up()
    print(f"rolled up: {rolled}", flush=True)
    report(look(workspace, pages=arguments.pages), seeded, rolled, is_kept=not (arguments.quick or arguments.pages))


if __name__ == "__main__":
    main()
