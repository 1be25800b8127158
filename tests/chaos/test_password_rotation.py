"""Passwords of Postgres, Valkey, Flower, the mail server and of a person are replaced while a job runs and a program calls."""

import base64
import re
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import psycopg
import pytest
import redis

from apps.lib.embedded import (
    PostgresServer,
    ValkeyServer,
    answers_ping,
    answers_sql,
    init_postgres,
    open_database,
    start_valkey,
    wait_until,
)
from apps.lib.ports import free_port
from apps.lib.processes import stop_process
from tests.chaos import traffic
from tests.chaos.reckoning import reckon_stack
from tests.chaos.stack import Stack
from tests.chaos.tables import say
from tests.chaos.test_rolling_restart import done_in
from tests.chaos.test_standby import running, tell
from tests.chaos.under_load import Person, World, put_to_work
from tests.chaos.workers import until
from tests.simulated import Simulator
from tests.webhooks.mail_servers import Post, receiving_mail
from tests.webhooks.receivers import receiving

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(1500)]

ITEMS = 4000
ADDRESS = "root@example.com"


@contextmanager
def stores(folder: Path) -> Iterator[tuple[PostgresServer, ValkeyServer]]:
    """Servers of the operator's own, as in production."""
    postgres = PostgresServer(folder / "postgres", free_port(), secrets.token_hex(16), secrets.token_hex(16))
    init_postgres(postgres)
    valkey = ValkeyServer(folder / "valkey", free_port(taken=[postgres.port]), secrets.token_hex(16))
    with running(postgres, folder), (folder / "valkey.log").open("wb") as log:
        open_database(postgres)
        valkey.data.mkdir(parents=True)
        process = start_valkey(valkey, log=log)
        try:
            wait_until(lambda: answers_ping(valkey.url), process=process, what="Valkey")
            yield postgres, valkey
        finally:
            stop_process(process, stop_signal=signal.SIGTERM, grace_seconds=10)


def rotate_postgres(world: World, server: PostgresServer) -> None:
    password = secrets.token_hex(16)
    tell(server, f"CREATE ROLE aiplatform_b LOGIN PASSWORD '{password}' IN ROLE aiplatform")
    tell(server, "ALTER ROLE aiplatform_b SET role = 'aiplatform'")
    world.transcript.note("CREATE ROLE aiplatform_b ... IN ROLE aiplatform", "both open")
    new = f"postgresql://aiplatform_b:{password}@127.0.0.1:{server.port}/aiplatform"
    world.transcript.manage("restart", shown="DATABASE_URL=...aiplatform_b...", DATABASE_URL=new)
    world.transcript.stack.environment["DATABASE_URL"] = new
    until(lambda: sessions_of(server, "aiplatform") == 0, "nobody has a session of the old role", seconds=120, pause=0.5)
    tell(server, "ALTER ROLE aiplatform PASSWORD NULL")
    world.transcript.note(
        "ALTER ROLE aiplatform PASSWORD NULL", f"sessions of it: 0; of aiplatform_b: {sessions_of(server, 'aiplatform_b')}"
    )
    assert not answers_sql(server.url())
    assert answers_sql(new)
    world.works_on(10)


def sessions_of(server: PostgresServer, role: str) -> int:
    with psycopg.connect(server.admin_url("postgres")) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [role]).fetchone()
    assert row is not None
    return int(row[0])


def rotate_valkey(world: World, server: ValkeyServer) -> None:
    password = secrets.token_hex(16)
    new = f"redis://:{password}@127.0.0.1:{server.port}/0"
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", f">{password}")
    world.transcript.note("ACL SETUSER default >NEW", "both open")
    assert answers_ping(server.url)
    world.transcript.manage("restart", shown="REDIS_URL=...NEW...", REDIS_URL=new)
    world.transcript.stack.environment["REDIS_URL"] = new
    with redis.Redis.from_url(new) as client:
        client.execute_command("ACL", "SETUSER", "default", f"<{server.password}")
    world.transcript.note("ACL SETUSER default <OLD", "with the old one: refused")
    assert not answers_ping(server.url)
    world.works_on(10)


def rotate_flower(world: World, url: str, old: str) -> None:
    assert knock(url, old) == 200
    new = secrets.token_hex(16)
    world.transcript.manage("restart", "flower", shown="AIPLATFORM_FLOWER_PASSWORD=NEW", AIPLATFORM_FLOWER_PASSWORD=new)
    told = (knock(url, old), knock(url, new))
    world.transcript.note("GET /flower/", f"old password: {told[0]}; new one: {told[1]}")
    assert told == (401, 200)
    world.works_on()


def knock(url: str, password: str) -> int:
    authorization = base64.b64encode(f"admin:{password}".encode()).decode()
    try:
        with urlopen(Request(url, headers={"Authorization": f"Basic {authorization}"}), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        refused.close()
        return refused.code


def rotate_mail_password(world: World, post: Post) -> None:
    """The server takes the new one alone; what it refuses meanwhile comes later."""
    knock_with_wrong_keys(world.url)
    until(lambda: len(post.got) > 0, "an alert was mailed with the old password", seconds=180, pause=0.5)
    assert post.logins[-1] == ("alerts", post.password)
    came, post.password = len(post.got), secrets.token_hex(16)
    sign_in_wrongly(world.url)
    until(lambda: post.logins[-1][1] != post.password and len(post.logins) > 1, "a mail was refused", seconds=180, pause=0.5)
    address = f"smtp://alerts:{quote(post.password)}@127.0.0.1:{post.port}"
    world.transcript.manage("restart", "control", shown="EMAIL_URL=...NEW...", EMAIL_URL=address)
    until(lambda: len(post.got) > came, "the mail that was refused has come", seconds=400, pause=0.5)
    refused = sum(password != post.password for _, password in post.logins[came:])
    world.transcript.note("mails", f"with the old password {came}, refused {refused}, with the new one {len(post.got) - came}")
    world.works_on()


def knock_with_wrong_keys(url: str) -> None:
    for _ in range(8):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{url}/v1/models", headers={"Authorization": f"Bearer aip-{'x' * 43}"}), timeout=30)
        refused.value.close()


def sign_in_wrongly(url: str) -> None:
    """Under many names, so that no name is locked and the address is slowed."""
    with urlopen(f"{url}/admin/login/", timeout=30) as page:
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())[0]
        cookie = page.headers["Set-Cookie"].partition(";")[0]
    statuses: list[int] = []
    for number in range(8):
        form = urlencode({"csrfmiddlewaretoken": token, "username": f"nobody-{number}", "password": "wrong"}).encode()
        try:
            urlopen(Request(f"{url}/admin/login/", form, {"Cookie": cookie}), timeout=30).close()
        except HTTPError as slowed:
            statuses.append(slowed.code)
            slowed.close()
    assert set(statuses) == {429}


def rotate_own_password(world: World, old: str) -> str:
    """Whoever changes it stays signed in; the old one opens nothing more."""
    new, page = "a password that nobody knows", f"{world.url}/admin/password_change/"
    with world.person.opener.open(page) as shown:
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', shown.read().decode())[0]
    form = {"csrfmiddlewaretoken": token, "old_password": old, "new_password1": new, "new_password2": new}
    with world.person.opener.open(page, urlencode(form).encode()) as answer:
        assert answer.url.endswith("/password_change/done/"), answer.url
    pages = world.person.pages
    until(lambda: world.person.pages > pages + 2, "the session goes on", pause=0.2)
    with pytest.raises(AssertionError, match="login"):
        Person(world.url, old)
    Person(world.url, new)
    world.transcript.note(
        "Change password, by the person", f"their session goes on ({world.person.sent_away} pages were the login); old password: refused"
    )
    return new


def test_every_password_is_replaced_under_load(tmp_path: Path, stack: Stack, simulator: Simulator) -> None:
    with stores(tmp_path) as (postgres, valkey), receiving_mail(password="the first one") as post, receiving() as receiver:
        stack.environment |= {
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": valkey.url,
            "EMAIL_URL": f"smtp://alerts:{quote(post.password)}@127.0.0.1:{post.port}",
            "AIPLATFORM_REFUSED_KEYS_PER_MINUTE": "5",
            "AIPLATFORM_WRONG_PASSWORDS_PER_HOUR": "5",
        }
        try:
            first = stack.up() | {"database_url": postgres.admin_url("aiplatform")}
            # What is handed over later is another one; what the first processes were given stays theirs.
            stack.environment.pop("EMAIL_URL")
            with psycopg.connect(first["database_url"]) as connection:
                connection.execute("UPDATE accounts_user SET email = %s WHERE username = 'admin'", [ADDRESS])
            key, password = traffic.make_key(stack), stack.state()["secrets"]["admin"]
            world = put_to_work(stack, first, simulator, receiver, key=key, password=password, items=ITEMS)
            program, person = world.program, world.person
            world.begin()

            rotate_postgres(world, postgres)
            rotate_valkey(world, valkey)
            rotate_flower(world, first["flower_url"], password)
            rotate_own_password(world, password)
            rotate_mail_password(world, post)
            world.works_on(10)
            world.end(stack, simulator, key=key)
            report(world, simulator)
            with psycopg.connect(first["database_url"]) as connection:
                states = connection.execute("SELECT state, count(*), sum(losses) FROM jobs_item GROUP BY state").fetchall()
                charges = connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone()
            checked = stack.manage("check_invariants", "--days", "1", "--at-rest")
            reckon_stack(stack, simulator, database_url=first["database_url"])
        finally:
            stack.manage("down")
    every = ITEMS + len(program.posted) + program.asked
    assert program.failed == []
    assert (person.sent_away, person.broken, person.pages > 20) == (0, 0, True)
    assert states == [("done", every, 0)]
    assert charges == (every, every)
    assert checked.returncode == 0, checked.stdout


def report(world: World, simulator: Simulator) -> None:
    program, person = world.program, world.person
    figures = [
        f"items of the job done {done_in(world.transcript.database, program.batch_id):,} of {ITEMS:,}",
        f"provider calls {simulator.calls()['total']:,}",
        f"API calls {program.calls.total():,}, failed {len(program.failed)}",
        f"pages of the back office {person.pages}, sent to the login {person.sent_away}, broken {person.broken}",
    ]
    say("Every password replaced under load", "\n".join([*world.transcript.written, *figures]))
