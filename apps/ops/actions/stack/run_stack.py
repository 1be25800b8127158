"""Bring a stack up, keep it up until it is told to stop, take it down."""

import os
import sys
from collections.abc import Callable

from django.conf import settings

from apps.lib.embedded import (
    ServerNotReadyError,
    answers_sql,
    init_postgres,
    open_database,
    postgres_command,
    valkey_program,
    write_valkey_settings,
)
from apps.lib.processes import start_time
from apps.ops.actions.stack.end_leftovers import end_leftovers
from apps.ops.actions.stack.keep_restart import forget_restart
from apps.ops.actions.stack.keep_state import load_state, save_state
from apps.ops.actions.stack.lock_home import lock_home
from apps.ops.actions.stack.plan_stack import check_can_start, postgres_server, settle_state, valkey_server
from apps.ops.actions.stack.replace_parts import replace_parts
from apps.ops.actions.stack.supervise import Report, StopAskedError, Supervisor
from apps.ops.domain.parts import model_part, platform_parts, postgres_part, valkey_part
from apps.ops.domain.stack import SUPERVISOR, Addresses, PartReport, PartState, StackError, StackOptions, StackState


def run_stack(
    *, options: StackOptions, report: Report, tell_ready: Callable[[Addresses], None], count_stop_requests: Callable[[], int]
) -> None:
    """Returns after everything has ended. One request to stop is obeyed gracefully, a second one at once.

    StackError when the stack can't start; nothing of it runs any more then.
    """
    options.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_home(options.home):
        state = load_state(options.home)
        for name in end_leftovers(state):
            report(PartReport(part=name, state=PartState.STOPPED, note="left over from a stack that was killed"))
        check_can_start(options)
        settle_state(options, state, os.environ)
        state.pids[SUPERVISOR] = (os.getpid(), start_time(os.getpid()) or 0.0)
        save_state(options.home, state)
        forget_restart(options.home)
        supervisor = Supervisor(
            home=options.home,
            project=options.project,
            state=state,
            report=report,
            is_asked_to_stop=lambda: count_stop_requests() > 0,
            save=lambda: save_state(options.home, state),
        )
        try:
            _bring_up(options, state, supervisor)
            tell_ready(addresses_of(state))
            prepare = _prepare_command(options)
            supervisor.watch(lambda: replace_parts(options.home, supervisor, prepare))
        except StopAskedError:
            return
        except ServerNotReadyError as error:
            raise StackError(str(error)) from error
        finally:
            supervisor.take_down(is_urgent=lambda: count_stop_requests() > 1)
            state.forget_addresses()
            save_state(options.home, state)


def _bring_up(options: StackOptions, state: StackState, supervisor: Supervisor) -> None:
    """The stores and the model, then what must be done before anybody works, then the rest at once."""
    python, manage = sys.executable, str(options.project / "manage.py")
    stores = []
    if options.database_url is None:
        init_postgres(postgres_server(options, state))
        stores.append(postgres_part(postgres_command(postgres_server(options, state))))
    if options.redis_url is None:
        stores.append(valkey_part([valkey_program(), str(write_valkey_settings(valkey_server(options, state)))]))
    models = [model_part(python=python, manage=manage, port=state.ports["model"])] if options.has_local_model else []
    supervisor.start([*stores, *models])
    if options.database_url is None:
        server = postgres_server(options, state)
        supervisor.wait_until(lambda: answers_sql(server.admin_url("template1")), names=["postgres"])
        # Healthy means that the platform's own role gets in, which is only made here.
        open_database(server)
    supervisor.wait_until_healthy([part.name for part in stores])
    supervisor.run_once("prepare", _prepare_command(options))
    platform = platform_parts(
        python=python,
        project=options.project,
        home=options.home,
        port=options.port,
        flower_port=options.flower_port,
        cores=options.cores,
        worker_stop_seconds=options.worker_stop_seconds,
    )
    supervisor.start(platform)
    supervisor.wait_until_healthy([part.name for part in (*models, *platform)])


def _prepare_command(options: StackOptions) -> list[str]:
    return [sys.executable, str(options.project / "manage.py"), "prepare"]


def addresses_of(state: StackState) -> Addresses:
    """Where a running stack is found."""
    environment = state.environment
    url = f"http://127.0.0.1:{environment['AIPLATFORM_PORT']}"
    return Addresses(
        url=url,
        admin_url=f"{url}{settings.ADMIN_PATH}",
        flower_url=f"http://127.0.0.1:{environment['AIPLATFORM_FLOWER_PORT']}/flower/",
        database_url=environment["DATABASE_URL"],
        redis_url=environment["REDIS_URL"],
        pids={name: pid for name, (pid, _) in state.pids.items()},
        admin_password=state.secrets["admin"],
    )
