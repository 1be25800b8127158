"""manage.py up: the whole stack on this machine, in the foreground or detached."""

import json
import os
import signal
from typing import IO, Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ops.actions.stack import news_line, run_stack, start_detached
from apps.ops.domain.stack import Addresses, PartReport, StackError
from apps.ops.management.progress import Progress
from apps.ops.management.stack_options import read_options

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Parse, count the requests to stop, run the stack."""

    help = "Start the whole stack and keep it running until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--detach", action="store_true", help="Return when everything is healthy and print one JSON object.")
        parser.add_argument("--news-fd", type=int, help="Write news as JSON lines to this file descriptor (used by --detach).")

    def handle(self, **options: Any) -> None:
        try:
            if options["detach"]:
                self._detach()
            elif options["news_fd"] is not None:
                with os.fdopen(options["news_fd"], "w", buffering=1) as pipe:
                    self._run_for(pipe)
            else:
                self._run()
        except StackError as error:
            raise CommandError(str(error)) from error

    def _detach(self) -> None:
        stack, progress = read_options(), Progress()
        # A request to stop while it starts takes down what has been started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress.shown():
                _, addresses = start_detached(project=stack.project, home=stack.home, report=progress.report)
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing is left running.") from error
        self.stdout.write(json.dumps(addresses.for_programs()))

    def _run(self) -> None:
        progress = Progress()
        with progress.shown():
            run_stack(
                options=read_options(),
                report=progress.report,
                tell_ready=lambda addresses: progress.console.print(welcome(addresses)),
                count_stop_requests=count_stop_signals(),
            )

    def _run_for(self, pipe: IO[str]) -> None:
        def tell(news: PartReport | Addresses | StackError) -> None:
            # Whoever started us has what it waited for and has gone, or was killed: the stack goes on.
            if isinstance(news, PartReport):
                # The reader goes once all is healthy; that a part died and was restarted must be found later, too.
                log.info("part", news=news_line(news).strip())
            if not pipe.closed:
                try:
                    pipe.write(news_line(news))
                except BrokenPipeError:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.fileno())

        try:
            run_stack(options=read_options(), report=tell, tell_ready=tell, count_stop_requests=count_stop_signals())
        except (StackError, CommandError) as error:
            tell(StackError(str(error)))
            raise


def count_stop_signals() -> "CountStopSignals":
    """Count Ctrl-C, SIGTERM and a closed terminal from now on, instead of dying of them."""
    counter = CountStopSignals()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, counter.note)
    return counter


class CountStopSignals:
    """How often this process was told to stop."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, *_: object) -> None:
        self.count += 1

    def __call__(self) -> int:
        return self.count


def welcome(addresses: Addresses) -> str:
    """What a person wants to know once everything runs."""
    return (
        f"\naiplatform is up.\n  API       {addresses.url}/v1\n  Admin     {addresses.admin_url}\n  Flower    {addresses.flower_url}\n"
        f"  Login     admin / {addresses.admin_password}\n  Stop it with Ctrl-C or 'manage.py down'.\n"
    )
