"""An estimate against the real run: workers, and a provider over HTTP."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.jobs.models import Job
from apps.spend.models import Charge, Price
from tests.chaos.workers import until, worker
from tests.factories.accounts import make_client
from tests.factories.jobs import make_route
from tests.jobs.batches import CHAT, input_line, jsonl
from tests.simulated import running_simulator

log = structlog.get_logger(__name__)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
# 17 tokens with what a chat adds; the simulated provider counts 20.
TEXT = "Tell me in one short sentence what the weather is like, number"


def upload(client: Client, number: int) -> dict[str, Any]:
    lines = [input_line(str(n), body={"model": "small", "messages": [{"role": "user", "content": f"{TEXT} {n}"}]}) for n in range(number)]

    answer = client.post("/v1/files", {"file": SimpleUploadedFile("lines.jsonl", jsonl(lines)), "purpose": "batch"})
    return {"input_file_id": answer.json()["id"], "endpoint": CHAT, "completion_window": "24h"}


def send(client: Client, body: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = client.post(f"/v1/batches{query}", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def run(client: Client, body: dict[str, Any]) -> Job:
    job_id = send(client, body)["id"].removeprefix("batch_")

    def has_ended() -> bool:
        return Job.objects.filter(id=job_id, ended_at__isnull=False).exists()

    until(has_ended, "the job ended")
    return Job.objects.get(id=job_id)


def test_what_a_job_costs_lies_in_its_estimate() -> None:
    client = make_client()
    storage = str(settings.STORAGES["default"]["OPTIONS"]["location"])
    with running_simulator("--latency", "fixed:200") as simulator:
        provider = make_route().provider
        provider.base_url, provider.max_concurrency = simulator.base_url, 5
        provider.save()
        Price.objects.create(
            provider_id=provider.id, upstream_model="small", effective_from=timezone.now() - timedelta(days=1),
            input_usd_per_million=Decimal(2), output_usd_per_million=Decimal(8),
        )  # fmt: skip
        with worker("exec", AIPLATFORM_STORAGE=storage), worker("ingest", AIPLATFORM_STORAGE=storage):
            guessed = send(client, upload(client, 40), "?dry_run=true")["estimate"]
            first = run(client, upload(client, 40))
            body = upload(client, 200)
            known = send(client, body, "?dry_run=true")["estimate"]
            second = run(client, body)
    for estimate, job, basis in ((guessed, first, "limits"), (known, second, "workspace")):
        assert job.dead == 0
        assert estimate["basis"]["of"] == basis
        cost = estimate["cost_usd"]
        assert Decimal(cost["low"]) <= job.cost_usd <= Decimal(cost["high"]) <= Decimal(estimate["ceiling_usd"])
        assert job.ended_at is not None
        took = (job.ended_at - job.created_at).total_seconds()
        # Shown, not asserted: a busy machine is slower than any forecast.
        told = {"basis": basis, **cost, "actual": f"{job.cost_usd.normalize():f}", "predicted_seconds": estimate["finish"]["seconds"]}
        log.info(
            "estimate_against_the_run",
            **told,
            took_seconds=round(took, 1),
            took_by_predicted=round(took / estimate["finish"]["seconds"], 2),
        )
    assert abs(Decimal(known["cost_usd"]["likely"]) / second.cost_usd - 1) < Decimal("0.1")
    assert known["finish"]["bound_by"] == "max_concurrency"
    assert not known["finish"]["is_guessed"]
    assert Charge.objects.count() == 240
