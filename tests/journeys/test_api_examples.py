"""Every example in the schema is sent as it stands to a running platform, and answered as the schema says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.examples import example_model, prepare
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv("AIPLATFORM_STORAGE", settings.STORAGES["default"]["OPTIONS"]["location"])
    with running_parts(tmp_path, "web", "exec-interactive") as found:
        yield found


def send(live: Live, secret: str, path: str, method: str, operation: dict[str, Any]) -> requests.Response:
    """The request that the operation's examples make."""
    query: dict[str, Any] = {}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
        elif parameter["in"] == "query" and "example" in parameter:
            query[parameter["name"]] = parameter["example"]
    body: dict[str, Any] = {}
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        example = dict(content["example"])
        if media == "multipart/form-data":
            field = "file" if "file" in example else "data"
            texts = example.pop(field)
            named = [("in.jsonl", texts)] if isinstance(texts, str) else [(f"{n}.txt", text) for n, text in enumerate(texts)]
            body = {"files": [(field, one) for one in named], "data": example}
        else:
            body = {"json": example}
    headers = {"Authorization": f"Bearer {secret}"}
    return requests.request(method, live.url + path, params=query, headers=headers, timeout=240, **body)


def test_every_example_runs(live: Live) -> None:
    secret = make_secret()
    schema = requests.get(f"{live.url}/api/schema/", params={"format": "json"}, timeout=240).json()
    make_callable(example_model(schema), base_url=live.provider_url)
    failed, sent = [], 0
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            prepare(schema, operation["operationId"])
            answer = send(live, secret, path, method, operation)
            good = [status for status in operation["responses"] if status.startswith("2")]
            media = set(operation["responses"][good[0]].get("content", {"": None}))
            sent += 1
            if str(answer.status_code) not in good or answer.headers.get("Content-Type", "").partition(";")[0] not in media:
                failed.append((operation["operationId"], answer.status_code, answer.headers.get("Content-Type"), answer.text[:300]))
    assert failed == []
    assert sent == sum(len(methods) for methods in schema["paths"].values()) >= 30
