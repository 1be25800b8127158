"""A stack under load while something is done to it: a job that goes on, a program that calls, a person with the back office open."""

import json
import re
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

from tests.chaos import traffic
from tests.chaos.stack import Stack
from tests.chaos.test_rolling_restart import done_in
from tests.chaos.workers import until
from tests.simulated import Simulator
from tests.webhooks.receivers import Receiver

_PACE, _NO_LIMIT = 240, 600_000
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
    items: int

    def post(self, path: str, key: str, **body: Any) -> dict[str, Any]:
        content, headers = json.dumps(body).encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", content, headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def works_on(self, number: int = 5) -> None:
        """Until the program has made some more calls, whose answers show that nothing is broken."""
        goal = self.program.calls.total() + number
        until(lambda: self.program.calls.total() >= goal or bool(self.program.failed), "the program goes on", pause=0.1)

    def begin(self) -> None:
        """Until all of them are at work."""
        self.program.start()
        self.person.start()
        until(lambda: self._done() > 20, "all is at work", seconds=150, pause=0.2)

    def end(self, stack: Stack, simulator: Simulator, *, key: str) -> list[str]:
        """All that was handed in is worked off, with nothing holding it back; the batches, of which the first was on all the while."""
        assert self._done() < self.items, "all of it was under load"
        declare(stack, simulator, pace=_NO_LIMIT)
        self.person.is_over.set()
        self.person.join(60)
        self.program.end()
        ids = [self.program.batch_id, *self.program.posted]
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key=key) as client:
            until(lambda: all(client.batches.retrieve(one).status == "completed" for one in ids), "all ended", seconds=180, pause=1)
        return ids

    def _done(self) -> int:
        return done_in(self.transcript.database, self.program.batch_id)


def declare(stack: Stack, simulator: Simulator, *, pace: int) -> None:
    traffic.apply(stack, CONFIG.format(base_url=simulator.base_url, pace=pace))


def put_to_work(
    stack: Stack, first: dict[str, Any], simulator: Simulator, receiver: Receiver, *, key: str, password: str, items: int
) -> World:
    """A batch of so many items that goes at a provider's pace, and a program and a person who begin when they are told to.

    `first` is what the stack said when it was up. The provider's key is named, so that its end can be looked for.
    """
    declare(stack, simulator, pace=_PACE)
    assert stack.manage("rotate_provider_key", "bulk", "--from-env", "FIRST", FIRST="sk-bulk-aaaa").returncode == 0
    with openai.OpenAI(base_url=f"{first['url']}/v1", api_key=key) as client:
        big = client.files.create(file=("big.jsonl", lines("slow", items)), purpose="batch")
        small = client.files.create(file=("small.jsonl", lines("quick", 1)), purpose="batch")
        batch = client.batches.create(input_file_id=big.id, endpoint="/v1/chat/completions", completion_window="24h")
    program, person = Program(first["url"], key, batch.id, small.id), Person(first["url"], password)
    return World(Transcript(stack, first, batch.id), program, person, receiver, first["url"], items)
