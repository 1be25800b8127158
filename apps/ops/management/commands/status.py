"""manage.py status: what each part of the running stack answers."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.jobs.actions import find_shortages
from apps.ops.actions.stack import ask_status
from apps.ops.domain.stack import PartState, StackError
from apps.ops.management.progress import part_table, wide_console
from apps.ops.queries.message_store import read_store_faults


class Command(BaseCommand):
    """Ask every part to do something; exit code 1 when one can't."""

    help = "Ask every part of the running stack to do something; exit code 1 when one can't."
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        try:
            reports = ask_status(Path(settings.AIPLATFORM_HOME))
        except StackError as error:
            raise CommandError(str(error)) from error
        wide_console(stderr=False).print(part_table({report.part: report for report in reports}))
        ill = [report for report in reports if report.state is PartState.UNHEALTHY]
        if ill:
            raise CommandError("; ".join(f"{report.part} {report.note} (log: {report.log})" for report in ill))
        for fault in read_store_faults():
            self.stdout.write(f"redis: {fault.what} {fault.remedy}")
        for lane, shortage in find_shortages().items():
            self.stdout.write(f"new work for {lane}: {f'refused, {shortage.reason}' if shortage else 'taken'}")
