"""A workspace in which there is something of everything, made through the API itself, for a fuzzer to meet."""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import requests
from openai import OpenAI

CHAT = "/v1/chat/completions"
_READY_SECONDS = 240


class Filler:
    """Fills the workspace of a key."""

    def __init__(self, url: str, secret: str, model: str) -> None:
        self.url, self.model = url, model
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {secret}"
        self.client = OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0, timeout=120)
        self._last_part = ""

    def fill(self) -> dict[str, list[str]]:
        """Ids by the name of the parameter that takes them.

        Jobs that have ended well, ill and not at all; files, uploads of which the last has all its parts, keys, and a call that somebody
        waited for.
        """
        ended = self._submit(self._lines("one", "two", "[[sim status=400]]", "four"))
        failed = self._submit(b"this is no JSON\n")
        # As long as it takes to see that they run.
        paused = [self._submit(self._lines(*["wait [[sim delay=15]]"] * 40), "bulk") for _ in range(2)]
        for job in paused:
            self._until(lambda job=job: self._job(job)["status"] == "running")  # type: ignore[misc]  # a lambda's default has no type
            self._ask("POST", f"/api/jobs/{job}/pause")
        self._until(lambda: bool(self._job(ended)["ended_at"]) and bool(self._job(failed)["ended_at"]))
        self._call()
        jobs = [ended, failed, *paused]
        return {
            "job_id": jobs,
            "batch_id": jobs,
            "item_id": [item["id"] for item in self._ask("GET", f"/api/jobs/{ended}/items")["data"]],
            "file_id": [self._upload(self._lines(str(number))) for number in range(3)] + [self._job(ended)["output_file_id"]],
            "doomed_file_id": [self._upload(self._lines("gone")) for _ in range(6)],
            "upload_id": [self._open_upload() for _ in range(6)],
            "part_id": [self._last_part],
            "key_id": [self._make_key() for _ in range(3)],
            "name": [self.model],
            **self._webhooks(),
        }

    def _webhooks(self) -> dict[str, list[str]]:
        """Endpoints that nobody runs: what is sent there is tried again later."""
        urls = [f"https://hooks.example.com/{number}" for number in range(5)]
        made = [self._ask("POST", "/api/webhooks", json={"name": url[-1], "url": url})["id"] for url in urls]
        deliveries = [self._ask("POST", f"/api/webhooks/{endpoint}/test")["id"] for endpoint in made[:2]]
        return {"webhook_id": made[:2], "doomed_webhook_id": made[2:], "delivery_id": deliveries}

    def close(self) -> None:
        self.session.close()
        self.client.close()

    def _ask(self, method: str, path: str, **values: Any) -> Any:
        answer = self.session.request(method, self.url + path, timeout=120, **values)
        answer.raise_for_status()
        return answer.json()

    def _job(self, job_id: str) -> Any:
        return self._ask("GET", f"/api/jobs/{job_id}")

    def _until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + _READY_SECONDS
        while not is_so():
            if time.monotonic() > until:
                raise TimeoutError([self._job(job["id"]) for job in self._ask("GET", "/api/jobs")["data"]])
            time.sleep(0.1)

    def _lines(self, *texts: str) -> bytes:
        bodies = ({"model": self.model, "messages": [{"role": "user", "content": text}]} for text in texts)
        lines = ({"custom_id": f"line-{n}", "method": "POST", "url": CHAT, "body": body} for n, body in enumerate(bodies))
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def _upload(self, content: bytes) -> str:
        return self.client.files.create(file=("in.jsonl", content), purpose="batch").id

    def _submit(self, content: bytes, priority: str = "default") -> str:
        batch = self.client.batches.create(
            input_file_id=self._upload(content), endpoint=CHAT, completion_window="24h", metadata={"priority": priority}
        )
        return batch.id

    def _open_upload(self) -> str:
        upload = self.client.uploads.create(bytes=6, filename="in.jsonl", mime_type="application/jsonl", purpose="batch")
        self._last_part = self.client.uploads.parts.create(upload.id, data=b"{\n  }\n").id
        return upload.id

    def _make_key(self) -> str:
        return str(self._ask("POST", "/api/keys", json={"name": "made for fuzzing", "scopes": ["jobs"]})["id"])

    def _call(self) -> None:
        self.client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": "hello"}])


def with_real_examples(schema: dict[str, Any], ids: dict[str, list[str]]) -> dict[str, Any]:
    """The schema, with examples that name what is there, and without the header that makes a request the repetition of another.

    The fuzzer sends the same value again and again, with other bodies: tests/accounts/test_once.py sends it as callers do.
    """
    real = deepcopy(schema)
    last = {name: values[-1] if name == "upload_id" else values[0] for name, values in ids.items()}
    for methods in real["paths"].values():
        for method, operation in methods.items():
            operation["parameters"] = [entry for entry in operation.get("parameters", ()) if entry["name"] != "Idempotency-Key"]
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    name = f"doomed_{parameter['name']}" if method == "delete" else parameter["name"]
                    parameter["example"] = last[name]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = content["example"]
                body |= {"input_file_id": last["file_id"]} if "input_file_id" in body else {}
                body |= {"part_ids": [last["part_id"]]} if "part_ids" in body else {}
    return real
