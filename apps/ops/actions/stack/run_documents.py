"""Have the sample documents asked a question by a running stack, as any program would: over HTTP, with citations of the passages."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.ops.domain.sample import DocumentsResult, read_cited_answers
from apps.ops.domain.stack import StackError

if TYPE_CHECKING:
    import openai

QUESTION = "What is this about?"
_COLLECTION, _RECIPE = "demo", "demo-question"
_POLL_SECONDS = 0.5
_SECONDS = 600.0
_Answer = dict[str, Any]


def run_documents(*, url: str, api_key: str, folder: Path, model: str, report: Callable[[int, int], None]) -> DocumentsResult:
    """Upload, declare, submit, wait, fetch. `report(done, total)` is called while it runs; StackError unless it is completed."""
    import openai  # noqa: PLC0415 -- 0.8 s and 60 MB that nothing else here needs

    with openai.OpenAI(base_url=f"{url}/api/", api_key=api_key, max_retries=2, timeout=30) as client:
        try:
            _upload(client, folder)
            recipe = client.post("/recipes", cast_to=_Answer, body={"name": _RECIPE, "kind": "ask", "declared": _declared(model)})
            began = time.monotonic()
            # Without reuse, so that a second demo has something to show, too.
            wanted = {"recipe": recipe["id"], "collection": _COLLECTION, "reuse": False, "feature": "demo"}
            job = client.post("/jobs", cast_to=_Answer, body=wanted)
            while job["ended_at"] is None:
                if time.monotonic() - began > _SECONDS:
                    raise StackError(f"The job of documents {job['id']} is still {job['status']} after {_SECONDS:.0f} s.")
                time.sleep(_POLL_SECONDS)
                job = client.get(f"/jobs/{job['id']}", cast_to=_Answer)
                report(job["done"] + job["dead"], job["total"])
            seconds = time.monotonic() - began
            if job["status"] != "completed":
                raise StackError(f"The job of documents {job['id']} ended {job['status']}, not completed.")
            lines = client.get(f"/jobs/{job['id']}/results", cast_to=str).splitlines()
            answers = read_cited_answers(lines)
        except openai.APIError as error:
            raise StackError(f"The API refused the sample documents: {error}") from error
    return DocumentsResult(
        job_id=job["id"],
        question=QUESTION,
        answers=answers,
        seconds=seconds,
        tokens=job["input_tokens"] + job["output_tokens"],
        cost_usd=str(job["cost_usd"]),
    )


def _declared(model: str) -> _Answer:
    return {"model": model, "question": QUESTION, "passages": 2, "parameters": {"temperature": 0, "max_tokens": 40}}


def _upload(client: "openai.OpenAI", folder: Path) -> None:
    """Into a collection that is made the first time. Bytes that are there already are not read again."""
    there = [one["name"] for one in client.get("/collections", cast_to=_Answer)["data"]]
    if _COLLECTION not in there:
        client.post("/collections", cast_to=_Answer, body={"name": _COLLECTION, "language": "english"})
    files: Any = [("file", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
    form: Any = {"headers": {"Content-Type": "multipart/form-data"}}
    client.post("/documents", cast_to=_Answer, body={"collection": _COLLECTION}, files=files, options=form)
