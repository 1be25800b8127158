"""Send the sample batch to a running stack as any program would: with the official OpenAI client over HTTP."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from apps.ops.domain.sample import SampleResult, read_answers, read_prompts
from apps.ops.domain.stack import StackError

_POLL_SECONDS = 0.3
# A local model on a machine that is busy with other things takes a while; the bar shows that it goes on.
_BATCH_SECONDS = 600.0
_OVER = {"completed", "failed", "expired", "cancelled"}


def make_api_key(*, project: Path, workspace: str) -> str:
    """A key by the same command that people use; in a process of its own, whose settings see the running stack."""
    command = [sys.executable, str(project / "manage.py"), "create_api_key", "--workspace", workspace, "--name", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)  # noqa: S603 -- our own command
    if done.returncode or not done.stdout.strip():
        msg = f"No API key could be made: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
        raise StackError(msg)
    return done.stdout.strip().splitlines()[-1]


def run_sample(*, url: str, api_key: str, file: Path, report: Callable[[int, int], None]) -> SampleResult:
    """Upload, create, wait, fetch. `report(done, total)` is called while it runs. StackError when it ends otherwise than completed."""
    import openai  # noqa: PLC0415 -- 0.8 s and 60 MB that nothing else here needs

    with openai.OpenAI(base_url=f"{url}/v1", api_key=api_key, max_retries=2, timeout=30) as client:
        try:
            uploaded = client.files.create(file=file, purpose="batch")
            began = time.monotonic()
            batch = client.batches.create(
                input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"feature": "demo"}
            )
            while batch.status not in _OVER:
                if time.monotonic() - began > _BATCH_SECONDS:
                    msg = f"The sample batch {batch.id} is still {batch.status} after {_BATCH_SECONDS:.0f} s."
                    raise StackError(msg)
                time.sleep(_POLL_SECONDS)
                batch = client.batches.retrieve(batch.id)
                if batch.request_counts:
                    report(batch.request_counts.completed + batch.request_counts.failed, batch.request_counts.total)
            seconds = time.monotonic() - began
            if batch.status != "completed" or not batch.output_file_id:
                errors = "; ".join(str(error.message) for error in (batch.errors.data or [] if batch.errors else []))
                msg = f"The sample batch {batch.id} ended {batch.status}, not completed. {errors}"
                raise StackError(msg)
            output = client.files.content(batch.output_file_id).text
            # What the batch cost is not part of OpenAI's API; the platform's own tells it for the same id.
            native = client.with_options(base_url=f"{url}/api/")
            job = native.get(f"/jobs/{batch.id}", cast_to=dict[str, object])
        except openai.APIError as error:
            msg = f"The API refused the sample batch: {error}"
            raise StackError(msg) from error
    prompts = read_prompts(file.read_text().splitlines())
    return SampleResult(
        batch_id=batch.id,
        answers=read_answers(output.splitlines(), prompts),
        failed=batch.request_counts.failed if batch.request_counts else 0,
        seconds=seconds,
        input_tokens=batch.usage.input_tokens if batch.usage else 0,
        output_tokens=batch.usage.output_tokens if batch.usage else 0,
        cost_usd=str(job["cost_usd"]),
    )
