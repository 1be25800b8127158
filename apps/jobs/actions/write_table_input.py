"""Write the batch file of a table: one request a row, in constant memory."""

from collections.abc import Iterator
from datetime import datetime

from apps.files.actions import Table, TableUnreadableError, create_file, read_table
from apps.jobs.actions.load_items import NoLongerWantedError
from apps.jobs.domain.intake import LineError
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.table_prompt import PromptRefusedError, TablePrompt, check_prompt, request_line
from apps.jobs.models import Job

_ERRORS_KEPT = 1000
_TOLD_EACH = 5000


class TableRefusedError(Exception):
    """Rows are wrong, or the table can't be read: the first errors, and how many there are."""

    def __init__(self, errors: list[LineError], count: int) -> None:
        super().__init__(f"{count} errors")
        self.errors, self.count = errors, count


def write_table_input(job: Job, *, now: datetime) -> None:
    """Give the job its input file; TableRefusedError names the lines that are wrong, and then nothing is kept. FileGoneError too."""
    source = job.table_file
    if source is None or job.table is None:
        msg = f"{job.public_id} was not submitted as a table"
        raise ValueError(msg)
    prompt = TablePrompt(**job.table)
    try:
        with read_table(file_id=source.id, sheet=prompt.sheet) as table:
            check_prompt(prompt, table.columns)
            file = create_file(
                workspace_id=job.workspace_id,
                api_key_id=None,
                purpose="batch",
                filename=f"{source.filename}.jsonl",
                content=_lines(job, prompt, table),
                expires_after_seconds=None,
                now=now,
            )
    except PromptRefusedError as error:
        raise TableRefusedError([LineError("invalid_prompt", str(error))], 1) from error
    except TableUnreadableError as error:
        raise TableRefusedError([LineError("invalid_table", error.message, line=error.line)], 1) from error
    job.input_file_id = file.id
    job.save(update_fields=["input_file_id"])


def _lines(job: Job, prompt: TablePrompt, table: Table) -> Iterator[bytes]:
    errors: list[LineError] = []
    count = number = 0
    for row in table.rows:
        if row.error:
            count += 1
            if len(errors) < _ERRORS_KEPT:
                errors.append(LineError("invalid_row", row.error, line=row.line))
            continue
        number += 1
        if number % _TOLD_EACH == 0:
            _tell(job, number)
        yield request_line(prompt, dict(zip(table.columns, row.cells, strict=True)), number=number)
    if count:
        raise TableRefusedError(errors, count)


def _tell(job: Job, number: int) -> None:
    """The job's page shows how many rows have been read; NoLongerWantedError when it was cancelled meanwhile."""
    if not Job.objects.filter(id=job.id, status=JobStatus.VALIDATING).update(total=number):
        raise NoLongerWantedError
