"""manage.py demo: the whole platform at work on a real sample batch and some documents, with what it said and what it cost."""

import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from apps.ops.actions.stack import addresses_of, is_locked, load_state, start_detached, stop_supervisor
from apps.ops.actions.stack.run_documents import QUESTION, run_documents
from apps.ops.actions.stack.run_sample import make_api_key, run_sample
from apps.ops.actions.stack.serve_model import LOCAL_MODEL
from apps.ops.domain.sample import DocumentsResult, SampleResult
from apps.ops.domain.stack import Addresses, StackError
from apps.ops.management.progress import Progress as PartProgress
from apps.ops.management.progress import wide_console
from apps.ops.management.stack_options import read_options

_SHOWN_ANSWERS = 10
_SHOWN_CHARACTERS = 90


class Command(BaseCommand):
    """Uses the stack of this home when it runs already, else starts one and ends it again."""

    help = "Start the stack, run a real sample batch through the local model, show the results. With a terminal it stays until Ctrl-C."
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        # Being told to stop, by whatever signal, must end what was started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.default_int_handler)
        # The client's line for each request would tear the progress bar apart.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        console, supervisor = wide_console(stderr=False), None
        try:
            supervisor, addresses = self._find_or_start(console)
            self._run(console, addresses)
            if supervisor is not None and sys.stdin.isatty() and sys.stdout.isatty():
                _serve(console, supervisor)
        except StackError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            console.print("\nStopping.")
        finally:
            if supervisor is not None:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                stop_supervisor(supervisor)
                console.print("The stack has stopped. 'make up' starts it again with its data.")

    def _find_or_start(self, console: Console) -> tuple[subprocess.Popen[bytes] | None, Addresses]:
        home = Path(settings.AIPLATFORM_HOME)
        if home.is_dir() and is_locked(home):
            addresses = addresses_of(load_state(home))
            console.print(f"Using the stack that runs in {home}.")
            return None, addresses
        options, progress = read_options(), PartProgress()
        console.print(f"Starting the stack in {home} ...")
        with progress.shown():
            return start_detached(project=options.project, home=home, report=progress.report, ends_with_us=True)

    def _run(self, console: Console, addresses: Addresses) -> None:
        project = Path(settings.BASE_DIR)
        key = make_api_key(project=project, workspace="demo")
        file = project / "samples" / "prompts.jsonl"
        console.print(f"\nSending {file.relative_to(project)} as a batch to {addresses.url}/v1, with the openai package:")
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("answered", total=None)
            result = run_sample(
                url=addresses.url, api_key=key, file=file, report=lambda done, total: bar.update(task, completed=done, total=total or None)
            )
        if result.failed or not result.answers:
            msg = f"{result.failed} of the sample prompts failed; the batch is {result.batch_id}."
            raise StackError(msg)
        documents = self._run_documents(console, addresses, key)
        _show(console, result)
        _show_documents(console, documents)
        _show_addresses(console, addresses)

    def _run_documents(self, console: Console, addresses: Addresses, key: str) -> DocumentsResult:
        folder = Path(settings.BASE_DIR) / "samples" / "documents"
        console.print(f"Uploading {folder.relative_to(settings.BASE_DIR)}, and asking each of them: {QUESTION}")
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("read and answered", total=None)
            return run_documents(
                url=addresses.url,
                api_key=key,
                folder=folder,
                model=LOCAL_MODEL,
                report=lambda done, total: bar.update(task, completed=done, total=total or None),
            )


def _show_documents(console: Console, result: DocumentsResult) -> None:
    columns = ("document", "answer", "cites", "was given")
    table = Table(*columns, title=result.question, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for one in result.answers:
        table.add_row(one.document, _short(one.answer), "; ".join(one.cited) or "-", "; ".join(one.given) or "-")
    console.print(table, markup=False)
    if not any(one.cited for one in result.answers):
        console.print("\nNone of them cites: this model is too small to do as it is told. What it was given to read is known all the same.")
    console.print(
        f"\n{len(result.answers)} documents were read, searched and asked in {result.seconds:.1f} s:"
        f" {result.tokens} tokens, cost ${result.cost_usd}.",
        markup=False,
    )


def _show_addresses(console: Console, addresses: Addresses) -> None:
    console.print(
        f"\nWhere to look:\n  Admin     {addresses.admin_url}\n  Flower    {addresses.flower_url}\n  API       {addresses.url}/v1"
        f"\n  Login     admin / {addresses.admin_password}  (for both)\n",
        markup=False,
    )


def _show(console: Console, result: SampleResult) -> None:
    table = Table(
        "request", "prompt", "answer", "tokens", title="Some of the answers", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for answer in result.answers[:_SHOWN_ANSWERS]:
        table.add_row(answer.name, _short(answer.prompt), _short(answer.answer), str(answer.tokens))
    console.print(table, markup=False)
    tokens = result.input_tokens + result.output_tokens
    console.print(
        f"\n{len(result.answers)} prompts answered in {result.seconds:.1f} s"
        f" ({len(result.answers) / result.seconds:.1f} a second, {result.output_tokens / result.seconds:.0f} tokens a second written)."
        f"\n{tokens} tokens ({result.input_tokens} in, {result.output_tokens} out), cost ${result.cost_usd}"
        f" at the sample price of the local model.\n",
        markup=False,
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"


def _serve(console: Console, supervisor: subprocess.Popen[bytes]) -> None:
    console.print("It keeps serving. Ctrl-C stops everything.")
    supervisor.wait()
    raise StackError("The stack has ended by itself; see logs/supervisor.log in its home.")
