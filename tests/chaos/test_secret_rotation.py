"""Every kind of secret is rotated while a job runs, a program calls, a person has the back office open and a receiver gets deliveries."""

import base64
import json
import re
import secrets
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import openai
import psycopg
import pytest

from apps.webhooks.domain.signatures import sign
from tests.chaos import traffic
from tests.chaos.stack import Stack
from tests.chaos.tables import say
from tests.chaos.test_rolling_restart import done_in
from tests.chaos.workers import until
from tests.simulated import Simulator
from tests.webhooks.receivers import Delivered, Receiver, receiving

# Those that open what is sealed, or know keys.
PARTS = ("exec-interactive", "exec", "control", "web")

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]

ITEMS = 3000
# The job goes at this pace until all is rotated, so that there is load as long as it takes.
CONFIG = """
[[providers]]
name = "bulk"
base_url = "{base_url}"
requests_per_minute = {pace}

[[providers]]
name = "quick"
base_url = "{base_url}"
api_key = "sk-quick-cccc"

[[models]]
name = "slow"
targets = [{{provider = "bulk", model = "simulated"}}]
input_usd_per_million = "1"
output_usd_per_million = "2"

[[models]]
name = "quick"
targets = [{{provider = "quick", model = "simulated"}}]
input_usd_per_million = "1"
output_usd_per_million = "2"
"""


def lines(model: str, number: int) -> bytes:
    return traffic.lines(model, (f"[[sim delay=0.3]] {model} {n}" for n in range(number)))


class Program(threading.Thread):
    """A client at work, with the retries of its package: it looks at a batch, makes calls that wait, and now and then posts a batch."""

    def __init__(self, url: str, key: str, batch_id: str, file_id: str) -> None:
        super().__init__(daemon=True)
        self.url, self.batch_id, self.file_id = url, batch_id, file_id
        self.calls: Counter[str] = Counter()
        self.asked = 0
        self.posted: list[str] = []
        self.failed: list[str] = []
        self.clients: list[openai.OpenAI] = []
        self.is_over = threading.Event()
        self.take(key)

    def take(self, key: str) -> None:
        """From its next call on it comes with this key."""
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=8, timeout=60)
        self.clients.append(self.client)

    def end(self) -> None:
        self.is_over.set()
        self.join(60)
        for client in self.clients:
            client.close()

    def run(self) -> None:
        while not self.is_over.is_set():
            for call in (self._look, self._ask, self._post):
                client = self.client
                try:
                    call(client)
                except openai.APIError as error:
                    self.failed.append(f"{call.__name__}: {error!r}")
                else:
                    self.calls[client.api_key[:12]] += 1
            time.sleep(0.15)

    def _look(self, client: openai.OpenAI) -> None:
        client.batches.retrieve(self.batch_id)

    def _ask(self, client: openai.OpenAI) -> None:
        self.asked += 1
        client.chat.completions.create(model="quick", messages=[{"role": "user", "content": f"call {self.asked}"}])

    def _post(self, client: openai.OpenAI) -> None:
        if self.asked % 10 == 1:
            number = {"number": str(len(self.posted))}
            made = client.batches.create(
                input_file_id=self.file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata=number
            )
            self.posted.append(made.id)


class Person(threading.Thread):
    """Somebody with the back office open, who loads its first page again and again. A page that doesn't come is asked for again."""

    def __init__(self, url: str, password: str) -> None:
        super().__init__(daemon=True)
        self.url, self.cookies = url, CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies))
        self.pages = self.sent_away = self.broken = 0
        self.is_over = threading.Event()
        self._sign_in(password)

    def _sign_in(self, password: str) -> None:
        with self.opener.open(f"{self.url}/admin/login/") as page:
            token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())[0]
        form = {"csrfmiddlewaretoken": token, "username": "admin", "password": password, "next": "/admin/"}
        with self.opener.open(f"{self.url}/admin/login/", urlencode(form).encode()) as page:
            assert page.url.endswith("/admin/"), page.url

    def run(self) -> None:
        while not self.is_over.wait(0.5):
            try:
                with self.opener.open(f"{self.url}/admin/", timeout=30) as page:
                    page.read()
                    self.pages += 1
                    self.sent_away += "/login/" in page.url
            except HTTPError as error:
                error.close()
                self.broken += 1
            except (URLError, ConnectionError, TimeoutError):
                continue  # the web process is being replaced


@dataclass
class Transcript:
    """What was done when, what was said to it, and how far the job was."""

    stack: Stack
    database: dict[str, Any]
    batch_id: str
    began: float = field(default_factory=time.monotonic)
    written: list[str] = field(default_factory=list)

    def note(self, done: str, said: str) -> None:
        at = time.monotonic() - self.began
        self.written.append(f"{at:5.0f} s  items {done_in(self.database, self.batch_id):>5}  {done}\n{' ' * 22}{said}")

    def manage(self, *arguments: str, shown: str = "", is_refused: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        answer = self.stack.manage(*arguments, **environment)
        assert (answer.returncode != 0) is is_refused, answer.stderr
        said = (answer.stderr if is_refused else answer.stdout).strip().splitlines()
        self.note(f"{shown} manage.py {' '.join(arguments)}".strip(), said[-1] if said else "")
        return answer


@dataclass
class World:
    """A stack under load."""

    transcript: Transcript
    program: Program
    person: Person
    receiver: Receiver
    url: str

    def post(self, path: str, key: str, **body: Any) -> dict[str, Any]:
        content, headers = json.dumps(body).encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", content, headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def works_on(self, number: int = 5) -> None:
        """Until the program has made some more calls, whose answers show that nothing is broken."""
        goal = self.program.calls.total() + number
        until(lambda: self.program.calls.total() >= goal or bool(self.program.failed), "the program goes on", pause=0.1)


def rotate_api_key(world: World, old: str) -> str:
    """Two keys hold, the program goes over to the new one, the old one is revoked."""
    scopes = ["files", "batches", "chat", "jobs", "admin"]
    new: str = world.post("/api/keys", old, name="program, second key", scopes=scopes)["secret"]
    world.works_on()
    world.program.take(new)
    world.transcript.note("POST /api/keys; the program takes the new key", f"{new[:12]}…; the old one, {old[:12]}…, still opens")
    world.works_on(10)
    with urlopen(Request(f"{world.url}/api/keys", headers={"Authorization": f"Bearer {new}"}), timeout=30) as answer:
        listed = json.load(answer)["data"]
    (old_id,) = [key["id"] for key in listed if old.startswith(key["prefix"])]
    world.post(f"/api/keys/{old_id}/revoke", new)
    with pytest.raises(HTTPError) as refused:
        world.post("/api/keys", old, name="x", scopes=scopes)
    refused.value.close()
    world.transcript.note("POST /api/keys/{id}/revoke", f"the next request with the old key: {refused.value.code}")
    assert refused.value.code == 401
    return new


def rotate_webhook_secret(world: World, key: str, endpoint_id: str) -> tuple[str, int]:
    """The new secret, and how many deliveries had come when it began to sign."""
    answer = world.post(f"/api/webhooks/{endpoint_id}/rotate", key)
    came = len(world.receiver.got)
    world.transcript.note(f"POST /api/webhooks/{endpoint_id[:9]}…/rotate", f"both secrets sign until {answer['previous_secret_until']}")
    until(lambda: len(world.receiver.got) > came + 1, "deliveries go on", pause=0.2)
    return answer["secret"], came


def rotate_what_processes_hold(world: World, stack: Stack) -> None:
    """Known to all first, then in front, then alone: no process meets anything that it can't open."""
    known = json.loads((stack.home / "stack.json").read_text())["environment"]
    old_keys, old_secret = known["AIPLATFORM_ENCRYPTION_KEYS"], known["SECRET_KEY"]
    new_keys, new_secret = "2027:" + base64.b64encode(secrets.token_bytes(32)).decode(), secrets.token_urlsafe(48)
    manage = world.transcript.manage
    behind = {"AIPLATFORM_ENCRYPTION_KEYS": f"{old_keys},{new_keys}", "SECRET_KEY_FALLBACKS": new_secret}
    manage("restart", *PARTS, shown="AIPLATFORM_ENCRYPTION_KEYS=OLD,NEW SECRET_KEY_FALLBACKS=NEW", **behind)
    front = {"AIPLATFORM_ENCRYPTION_KEYS": f"{new_keys},{old_keys}", "SECRET_KEY": new_secret, "SECRET_KEY_FALLBACKS": old_secret}
    manage("restart", *PARTS, shown="AIPLATFORM_ENCRYPTION_KEYS=NEW,OLD SECRET_KEY=NEW SECRET_KEY_FALLBACKS=OLD", **front)
    alone = {"AIPLATFORM_ENCRYPTION_KEYS": new_keys}
    manage("restart", *PARTS, shown="AIPLATFORM_ENCRYPTION_KEYS=NEW", is_refused=True, **alone)
    manage("reseal_secrets", "--dry-run")
    resealed = manage("reseal_secrets")
    assert "no other key seals any" in resealed.stdout
    until(lambda: "W002" not in check(stack), "every key was used with the new SECRET_KEY", seconds=120, pause=5)
    world.transcript.note("manage.py check --database default", "nothing is said of SECRET_KEY_FALLBACKS any more")
    manage("restart", *PARTS, shown="AIPLATFORM_ENCRYPTION_KEYS=NEW SECRET_KEY_FALLBACKS=", SECRET_KEY_FALLBACKS="", **alone)
    said = check(stack)
    assert "aiplatform.W" not in said, said
    now = json.loads((stack.home / "stack.json").read_text())["environment"]
    assert (now["AIPLATFORM_ENCRYPTION_KEYS"], now["SECRET_KEY"], now["SECRET_KEY_FALLBACKS"]) == (new_keys, new_secret, "")


def check(stack: Stack) -> str:
    return stack.manage("check", "--database", "default").stderr


def is_signed(got: Delivered, secret: str) -> bool:
    wanted = sign(secret, event_id=got.id, timestamp=int(got.headers["webhook-timestamp"]), body=got.body.decode())
    return wanted in got.headers["webhook-signature"].split()


def test_every_kind_of_secret_is_rotated_under_load(stack: Stack, simulator: Simulator) -> None:
    with receiving() as receiver:
        given = {"WEBHOOKS_PORTS": str(receiver.port), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32", "WEBHOOKS_HTTP": "true"}
        # What the stack makes and keeps itself: another one named here would be a rotation.
        stack.environment.pop("AIPLATFORM_ENCRYPTION_KEYS", None)
        stack.environment |= given
        first = stack.up()
        declare(stack, simulator, pace=240)
        assert stack.manage("rotate_provider_key", "bulk", "--from-env", "FIRST", FIRST="sk-bulk-aaaa").returncode == 0
        key = traffic.make_key(stack)
        client = openai.OpenAI(base_url=f"{first['url']}/v1", api_key=key)
        big = client.files.create(file=("big.jsonl", lines("slow", ITEMS)), purpose="batch")
        small = client.files.create(file=("small.jsonl", lines("quick", 1)), purpose="batch")
        batch = client.batches.create(input_file_id=big.id, endpoint="/v1/chat/completions", completion_window="24h")
        password = json.loads((stack.home / "stack.json").read_text())["secrets"]["admin"]
        program, person = Program(first["url"], key, batch.id, small.id), Person(first["url"], password)
        world = World(Transcript(stack, first, batch.id), program, person, receiver, first["url"])
        endpoint = world.post("/api/webhooks", key, name="receiver", url=receiver.url, events=["batch.completed"])
        program.start()
        person.start()
        until(lambda: done_in(first, batch.id) > 20 and len(receiver.got) > 1, "all is at work", seconds=150, pause=0.2)

        world.transcript.manage("rotate_provider_key", "bulk", "--from-env", "NEW_KEY", NEW_KEY="sk-bulk-bbbb")
        until(lambda: "bbbb" in simulator.stats()["by_key"], "workers use it", pause=0.2)
        with_old = simulator.stats()["by_key"]["aaaa"]["200"]
        new_key = rotate_api_key(world, key)
        second, came = rotate_webhook_secret(world, new_key, endpoint["id"])
        rotate_what_processes_hold(world, stack)
        world.works_on(10)
        assert done_in(first, batch.id) < ITEMS, "all of it was under load"

        declare(stack, simulator, pace=600_000)
        person.is_over.set()
        person.join(60)
        program.end()
        client.close()
        ids = [batch.id, *program.posted]
        with openai.OpenAI(base_url=f"{first['url']}/v1", api_key=new_key) as later:
            until(lambda: all(later.batches.retrieve(one).status == "completed" for one in ids), "all ended", seconds=120, pause=1)
        until(lambda: len({got.id for got in receiver.got}) == len(ids), "every end was told", pause=0.5)
        by_key = simulator.stats()["by_key"]
        report(world, by_key, with_old)
    assert program.failed == []
    assert (person.sent_away, person.broken, person.pages > 20) == (0, 0, True)
    assert {key: set(counts) for key, counts in by_key.items()} == {"aaaa": {"200"}, "bbbb": {"200"}, "cccc": {"200"}}
    assert by_key["aaaa"]["200"] + by_key["bbbb"]["200"] == ITEMS
    # What was in the air when the key changed ended with the old one.
    assert by_key["aaaa"]["200"] <= with_old + 20
    assert all(is_signed(got, endpoint["secret"]) for got in receiver.got)
    assert all(is_signed(got, second) for got in receiver.got[came + 1 :])
    assert_nothing_is_lost(first, len(ids) - 1 + program.asked)
    checked = stack.manage("check_invariants", "--days", "1", "--at-rest")
    assert checked.returncode == 0, checked.stdout


def declare(stack: Stack, simulator: Simulator, *, pace: int) -> None:
    traffic.apply(stack, CONFIG.format(base_url=simulator.base_url, pace=pace))


def assert_nothing_is_lost(first: dict[str, Any], others: int) -> None:
    with psycopg.connect(first["database_url"]) as connection:
        states = connection.execute("SELECT state, count(*), sum(losses) FROM jobs_item GROUP BY state").fetchall()
        charges = connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone()
        sealed = connection.execute("SELECT count(*) FROM providers_provider WHERE api_key_sealed NOT LIKE '2027:%'").fetchone()
    assert states == [("done", ITEMS + others, 0)]
    assert charges == (ITEMS + others, ITEMS + others)
    assert sealed == (0,)


def report(world: World, by_key: dict[str, dict[str, int]], with_old: int) -> None:
    program, person = world.program, world.person
    figures = [
        f"items of the job done {done_in(world.transcript.database, program.batch_id):,} of {ITEMS:,}",
        f"provider calls by key and status {by_key}; {with_old} with aaaa when the first came with bbbb",
        f"API calls {program.calls.total():,}, failed {len(program.failed)}; by key {dict(program.calls)}",
        f"pages of the back office {person.pages}, sent to the login {person.sent_away}, broken {person.broken}",
        f"webhook deliveries {len(world.receiver.got)}",
    ]
    say("Every kind of secret rotated under load", "\n".join([*world.transcript.written, *figures]))
