"""Every kind of secret is rotated while a job runs, a program calls, a person has the back office open and a receiver gets deliveries."""

import base64
import json
import secrets
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from apps.webhooks.domain.signatures import sign
from tests.chaos import traffic
from tests.chaos.stack import Stack
from tests.chaos.tables import say
from tests.chaos.test_rolling_restart import done_in
from tests.chaos.under_load import World, put_to_work
from tests.chaos.workers import until
from tests.simulated import Simulator
from tests.webhooks.receivers import Delivered, receiving

# Those that open what is sealed, or know keys.
PARTS = ("exec-interactive", "exec", "control", "web")

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]

ITEMS = 3000


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
        key = traffic.make_key(stack)
        world = put_to_work(stack, first, simulator, receiver, key=key, password=stack.state()["secrets"]["admin"], items=ITEMS)
        program, person = world.program, world.person
        endpoint = world.post("/api/webhooks", key, name="receiver", url=receiver.url, events=["batch.completed"])
        world.begin()
        until(lambda: len(receiver.got) > 1, "deliveries come", seconds=150, pause=0.2)

        world.transcript.manage("rotate_provider_key", "bulk", "--from-env", "NEW_KEY", NEW_KEY="sk-bulk-bbbb")
        until(lambda: "bbbb" in simulator.stats()["by_key"], "workers use it", pause=0.2)
        with_old = simulator.stats()["by_key"]["aaaa"]["200"]
        new_key = rotate_api_key(world, key)
        second, came = rotate_webhook_secret(world, new_key, endpoint["id"])
        rotate_what_processes_hold(world, stack)
        world.works_on(10)
        ids = world.end(stack, simulator, key=new_key)
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
