"""A provider's key is replaced under load, at a provider that speaks another language: no call fails."""

import orjson
import pytest
from django.core.management import call_command

from apps.jobs.actions import ring, sweep
from apps.jobs.models import Item, Job
from apps.providers.actions import save_provider_key
from apps.traces.models import Exchange
from apps.traces.queries import read_bodies
from tests.chaos.workers import run_out, until, worker
from tests.factories.providers import make_model, make_provider
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

ITEMS = 800


def test_pumps_take_a_new_key_while_they_run(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make_provider(base_url=simulator.base_url, kind="anthropic")
    save_provider_key(provider_id=provider.id, api_key="sk-aaaa")
    monkeypatch.setenv("NEW_KEY", "sk-bbbb")
    model = make_model("small", provider)
    with worker("exec", PROVIDERS_RELOAD_SECONDS="0.5"):
        job = make_job(prompts=[f"[[sim delay=0.5]] item {n}" for n in range(ITEMS)], model_id=model.id)
        ring(lane="default", job_id=job.id)
        until(lambda: Job.objects.get(id=job.id).done >= 100, "a part was done", meanwhile=sweep)
        call_command("rotate_provider_key", "primary", from_env="NEW_KEY")
        run_out(job)
    job.refresh_from_db()
    assert (job.done, job.dead) == (ITEMS, 0)
    seen = simulator.stats()["by_key"]
    assert set(seen) == {"aaaa", "bbbb"}
    assert [set(counts) for counts in seen.values()] == [{"200"}, {"200"}]
    assert sum(counts["200"] for counts in seen.values()) == ITEMS
    assert_the_caller_gets_a_chat_completion_and_the_message_is_kept(job)


def assert_the_caller_gets_a_chat_completion_and_the_message_is_kept(job: Job) -> None:
    item = Item.objects.filter(job=job)[0]
    exchange = Exchange.objects.get(run_id=item.run_id)
    ids = [bytes(item.answer_body_id or b""), bytes(exchange.answer_body_id or b"")]
    bodies = read_bodies(ids)
    answer, raw = (orjson.loads(bodies[id_]) for id_ in ids)
    assert (answer["object"], answer["usage"]["prompt_tokens"], raw["type"], exchange.path) == (
        "chat.completion",
        20,
        "message",
        "/v1/messages",
    )
    assert answer["choices"][0]["message"]["content"] == raw["content"][0]["text"]
