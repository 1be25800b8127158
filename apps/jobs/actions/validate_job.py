"""Validate a job: read its file twice, first to judge every line, then to load them; it runs only once all are in.

Safe to run again after a kill (it starts clean) and twice at once (a session lock lets one through).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection, transaction

from apps.files.queries import FileGoneError, open_file
from apps.jobs.actions.check_lines import check_lines, read_specs
from apps.jobs.actions.check_tools import tool_checker
from apps.jobs.actions.expand_prompts import prompt_expander
from apps.jobs.actions.load_items import NoLongerWantedError, load_items
from apps.jobs.actions.publish_end import publish_end
from apps.jobs.actions.reuse_answers import reuse_answers
from apps.jobs.actions.ring import ring
from apps.jobs.actions.write_table_input import TableRefusedError, write_table_input
from apps.jobs.domain.intake import ItemSpec, LineError, LineRules
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.advisory_lock import advisory_lock
from apps.lib.enqueue import enqueue
from apps.lib.failpoints import failpoint
from apps.providers.domain.policy import load_policy
from apps.providers.queries import load_catalogue

log = structlog.get_logger(__name__)

FILE_GONE = LineError(
    "file_not_found", "The input file was deleted or has expired before the batch was validated; upload it again.", "input_file_id"
)


def validate_job(*, job_id: UUID, clock: Callable[[], datetime]) -> None:
    """Carry a `validating` job to `running`, or to `failed` with every error; anything else is left alone."""
    with advisory_lock(job_id) as is_mine:
        if not is_mine:
            return
        job = Job.objects.filter(id=job_id, status=JobStatus.VALIDATING).first()
        if job is None:
            return
        remove_items(job_id)
        try:
            _validate(job, clock)
        except FileGoneError:
            remove_items(job_id)
            _fail(job, [FILE_GONE], 1, clock())
        except TableRefusedError as refused:
            _fail(job, refused.errors, refused.count, clock())
        except NoLongerWantedError:
            remove_items(job_id)
            Job.objects.filter(id=job_id).update(total=0)
            log.info("validation_cancelled", job_id=str(job_id))
    if Job.objects.filter(id=job_id, status=JobStatus.CANCELLING).exists():
        # Who cancelled it meanwhile found the lock taken.
        enqueue("jobs.finish_job", queue="ingest", job_id=str(job_id))


def remove_items(job_id: UUID) -> None:
    """Remove what an earlier, unfinished validation has loaded."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_item WHERE job_id = %s", [job_id])


def _validate(job: Job, clock: Callable[[], datetime]) -> None:
    if job.table_file_id and job.input_file_id is None:
        write_table_input(job, now=clock())
    if job.input_file_id is None:
        raise FileGoneError
    catalogue = load_catalogue()
    rules = LineRules(
        endpoint=job.endpoint,
        model_id=catalogue.model_id,
        feature=job.feature,
        prompt_version=(job.metadata or {}).get("prompt_version", ""),
        policy=load_policy(job.policy),
        unpriced_models=catalogue.unpriced_models,
        expand=prompt_expander(job.workspace_id),
        check_tools=tool_checker(job.workspace_id),
    )
    with open_file(job.input_file_id) as stream:
        findings = check_lines(stream, rules)
        if findings.error_count:
            _fail(job, findings.errors, findings.error_count, clock())
            return
        first_model_id = catalogue.model_id(job.first_model_name) if job.first_model_name else None
        total = load_items(job, (_good(spec) for spec in read_specs(stream, rules)), first_model_id=first_model_id)
    reused = reuse_answers(job, now=clock())
    failpoint("validate.loaded")
    names = [name for name in catalogue.model_names() if catalogue.model_id(name) in findings.model_ids]
    with transaction.atomic():
        if not Job.objects.filter(id=job.id, status=JobStatus.VALIDATING).update(
            status=JobStatus.RUNNING,
            total=total,
            done=reused,
            reused=reused,
            model_name=names[0] if len(names) == 1 else "",
            started_at=clock(),
        ):
            raise NoLongerWantedError
        if reused < total:
            ring(lane=job.lane, job_id=job.id)
        else:
            enqueue("jobs.finish_job", queue="ingest", job_id=str(job.id))
        failpoint("validate.before_commit")
    failpoint("validate.after_commit")
    log.info("job_validated", job_id=str(job.id), items=total, reused=reused)


def _good(spec: ItemSpec | LineError) -> ItemSpec:
    if isinstance(spec, LineError):
        msg = f"line {spec.line} was good when the file was read first; the stored file has changed"
        raise RuntimeError(msg)  # noqa: TRY004 -- no caller's type is wrong, the stored bytes are
    return spec


def _fail(job: Job, errors: Sequence[LineError], count: int, now: datetime) -> None:
    listed = [error.as_json() for error in errors]
    if count > len(errors):
        listed.append(LineError("too_many_errors", f"{count:,} lines are wrong; the first {len(errors):,} are listed.").as_json())
    with transaction.atomic():
        failed = Job.objects.filter(id=job.id, status=JobStatus.VALIDATING).update(
            status=JobStatus.FAILED, total=0, errors=listed, ended_at=now
        )
        if failed:
            publish_end(job, JobStatus.FAILED, now=now)
    log.info("job_refused", job_id=str(job.id), errors=count, is_recorded=bool(failed))
