"""A dump taken in mid-work, restored into a new database after the old platform is gone: what it holds goes on to its end, once."""

import json
import re
import shutil
import signal
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import psutil
import psycopg
import pytest

from apps.lib.embedded import PostgresServer, answers_sql, bare_environment, init_postgres, open_database, postgres_program, start_postgres
from apps.lib.embedded import wait_until as wait_for_server
from apps.lib.ports import free_port
from apps.lib.processes import stop_process
from apps.webhooks.domain.signatures import sign
from tests.chaos import traffic
from tests.chaos.reckoning import prove_stack
from tests.chaos.soak import SETTINGS
from tests.chaos.stack import Stack
from tests.chaos.tables import note
from tests.chaos.workers import until
from tests.simulated import Simulator, running_simulator
from tests.webhooks.receivers import Delivered, Receiver, receiving

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

BEFORE, DURING, WINDOW = 12, 240, 20
SAFE = ("SECRET_KEY", "AIPLATFORM_ENCRYPTION_KEYS")
COLUMNS = (
    "items",
    "done in the dump",
    "done after it",
    "lost",
    "charged twice",
    "calls after it was restored",
    "items without an answer in it",
)


@contextmanager
def new_server(folder: Path) -> Iterator[PostgresServer]:
    """A Postgres of somebody else, with an empty database in it."""
    server = PostgresServer(data=folder / "new", port=free_port(), admin_password="a" * 16, password="b" * 16, durable=False)
    init_postgres(server)
    with (folder / "new.log").open("wb") as log:
        process = start_postgres(server, log=log)
        try:
            wait_for_server(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
            open_database(server)
            yield server
        finally:
            stop_process(process, stop_signal=signal.SIGINT, grace_seconds=10)


def run(*command: str) -> None:
    done = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def back_up(stack: Stack, database_url: str, folder: Path) -> dict[str, str]:
    """As docs/operating.md says: the database, then the files, and two secrets that belong elsewhere."""
    run(postgres_program("pg_dump"), "--format=custom", "--no-owner", f"--file={folder / 'platform.dump'}", database_url)
    with tarfile.open(folder / "files.tar", "w") as kept:
        kept.add(stack.home / "files", "files")
    return {name: value for name, value in stack.state()["environment"].items() if name in SAFE}


def restore(server: PostgresServer, folder: Path, home: Path) -> None:
    dump = str(folder / "platform.dump")
    run(postgres_program("pg_restore"), "--no-owner", "--no-comments", "--exit-on-error", f"--dbname={server.url()}", dump)
    home.mkdir()
    with tarfile.open(folder / "files.tar") as kept:
        kept.extractall(home, filter="data")


def destroy(stack: Stack) -> None:
    """The machine burns: every process at once, and all that it had on its disk."""
    supervisor = psutil.Process(stack.state()["pids"]["supervisor"][0])
    family = [supervisor, *supervisor.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, left = psutil.wait_procs(family, 60)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in left)
    shutil.rmtree(stack.home)


def post(url: str, key: str, body: bytes) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=120) as answer:
        content: bytes = answer.read()
        return content


def counts(url: str) -> traffic.Counts:
    found = traffic.count(url)
    assert found is not None
    return found


def one_row(url: str, question: str) -> tuple[Any, ...]:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row


def is_signed(got: Delivered, secret: str) -> bool:
    made = sign(secret, event_id=got.id, timestamp=int(got.headers["webhook-timestamp"]), body=got.body.decode())
    return made in got.headers["webhook-signature"].split()


@dataclass
class Old:
    """The platform that is lost, and what its callers had of it."""

    stack: Stack
    receiver: Receiver
    key: str = ""
    webhook_secret: str = ""
    first: str = ""
    second: str = ""
    answers: bytes = b""
    # How many items had an answer when all was lost; some of them after the dump.
    done: int = 0


def lose_a_platform_at_work(old: Old, simulator: Simulator, folder: Path) -> dict[str, str]:
    """One batch has ended and its end was told, another runs; a backup is taken, work goes on, and all is gone. The two secrets."""
    up = old.stack.up()
    url, database_url = up["url"], up["database_url"]
    traffic.declare(old.stack, simulator)
    holds(old.stack, "rotate_provider_key", "simulated", "--from-env", "NEW_KEY", NEW_KEY="sk-restored-aaaa")
    with traffic.client_of(old.stack, url) as client:
        old.key = client.api_key
        endpoint = json.dumps({"name": "receiver", "url": old.receiver.url, "events": ["batch.completed"]}).encode()
        old.webhook_secret = json.loads(post(f"{url}/api/webhooks", old.key, endpoint))["secret"]
        old.first = traffic.submit(client, "before", BEFORE)
        until(lambda: client.batches.retrieve(old.first).status == "completed", "the first one ended", pause=0.2)
        old.answers = output_of(client, old.first)
        until(lambda: len(old.receiver.got) == 1, "it was told")
        old.second = traffic.submit(client, "during", DURING)
        until(lambda: counts(database_url).done >= BEFORE + 2 * WINDOW, "a part was done")
    kept = back_up(old.stack, database_url, folder)
    dumped_at = counts(database_url).done
    until(lambda: counts(database_url).done >= dumped_at + 2 * WINDOW, "more was done that the dump lacks")
    old.done = counts(database_url).done
    destroy(old.stack)
    return kept


def is_in_the_middle(url: str) -> None:
    """The dump has what makes it hard: items that are held by pumps which are no more, and money that is set aside for them."""
    running, items = one_row(url, "SELECT count(*) FILTER (WHERE state = 'running'), count(*) FROM jobs_item")
    assert (running > 0, items) == (True, BEFORE + DURING)
    open_ones = "SELECT count(*) FROM spend_reservation AS r WHERE NOT EXISTS (SELECT FROM spend_resolution WHERE reservation_id = r.id)"
    assert one_row(url, open_ones) == (running,)


def go_on(old: Old, stack: Stack, url: str) -> None:
    """The platform starts on what was restored; its callers come with what they had."""
    up = stack.up()
    with openai.OpenAI(base_url=f"{up['url']}/v1", api_key=old.key, max_retries=3, timeout=120) as client:
        assert output_of(client, old.first) == old.answers
        assert traffic.submit(client, "during", DURING) == old.second, "what was sent before is known"
        until(lambda: client.batches.retrieve(old.second).status == "completed", "what ran went on to its end", pause=0.3)
        assert len(output_of(client, old.second).splitlines()) == DURING
    until(lambda: counts(url).open_jobs == 0, "all work ended")
    until(lambda: len(old.receiver.got) == 2, "the second end was told")
    holds(stack, "check_invariants", "--at-rest")
    prove_stack(stack, database_url=url)


@pytest.mark.unwitnessed("what was answered after the dump is unknown to what is restored from it, and asked again")
def test_what_a_dump_holds_goes_on_in_a_new_database_and_is_lost_or_charged_twice_nowhere(stack: Stack, tmp_path: Path) -> None:
    with ExitStack() as ending:
        old = Old(stack, ending.enter_context(receiving()))
        simulator = ending.enter_context(running_simulator("--latency", "fixed:1000"))
        own = {"WEBHOOKS_PORTS": str(old.receiver.port), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32", "WEBHOOKS_HTTP": "true"}
        own |= SETTINGS | {"JOBS_LEASE_SECONDS": "10", "JOBS_MAX_IN_FLIGHT": str(WINDOW), "JOBS_PUMPS_PER_HOST": "1"}
        stack.environment = {name: value for name, value in stack.environment.items() if name not in SAFE} | own
        kept = lose_a_platform_at_work(old, simulator, tmp_path)
        called = simulator.calls()["total"]

        server = ending.enter_context(new_server(tmp_path))
        url = server.url()
        again = Stack(tmp_path / "another home")
        again.environment |= own | kept | {"DATABASE_URL": url}
        ending.callback(again.manage, "down")
        restore(server, tmp_path, again.home)
        in_dump = counts(url).done
        is_in_the_middle(url)
        holds(again, "check_invariants")
        holds(again, "check", "--database", "default")
        go_on(old, again, url)

        after, total = counts(url), simulator.calls()["total"]
        charges = one_row(url, "SELECT count(*), count(DISTINCT item_id), count(DISTINCT run_id) FROM spend_charge")
        items = BEFORE + DURING
        row = (items, in_dump, old.done - in_dump, items - after.done, charges[0] - charges[1], total - called, items - in_dump)
        note("A dump of a platform at work is restored into a new database", COLUMNS, row)
        assert (after.done, after.dead, charges) == (items, 0, (items, items, items))
        # Each item that the dump has no answer of is asked once more, and no other; but for what was still on its way when all was lost.
        assert items - in_dump <= total - called <= items - in_dump + WINDOW
        assert set(simulator.stats()["by_key"]) == {"aaaa"}
        assert all(is_signed(got, old.webhook_secret) for got in old.receiver.got)
        assert len({got.id for got in old.receiver.got}) == 2
        the_audit_log_can_not_be_changed(url)


def output_of(client: openai.OpenAI, batch_id: str) -> bytes:
    file_id = client.batches.retrieve(batch_id).output_file_id
    assert file_id is not None
    return client.files.content(file_id).content


def holds(stack: Stack, *command: str, **environment: str) -> None:
    done = stack.manage(*command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    # The new stack's message store isn't up while its database is looked at.
    assert set(re.findall(r"aiplatform\.W\d+", done.stderr)) <= {"aiplatform.W004"}, done.stderr


def the_audit_log_can_not_be_changed(url: str) -> None:
    """Triggers come back with the tables."""
    for change in ("UPDATE accounts_auditentry SET reason = 'x'", "DELETE FROM accounts_auditentry"):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.Error):
            connection.execute(change)
