"""stack.json holds secrets and outlives crashes."""

from pathlib import Path

import pytest

from apps.lib.environment import read_environment
from apps.ops.actions.stack.keep_state import load_state, save_state
from apps.ops.domain.stack import StackError, StackState


def _running() -> StackState:
    return StackState(
        environment={"SECRET_KEY": "s", "DATABASE_URL": "postgresql://a@b/c", "REDIS_URL": "redis://r", "AIPLATFORM_PORT": "8000"},
        secrets={"admin": "pw"},
        ports={"postgres": 21000},
        pids={"web": (1, 2.5)},
    )


def test_what_is_saved_is_loaded_and_nobody_else_reads_it(tmp_path: Path) -> None:
    save_state(tmp_path, _running())
    assert load_state(tmp_path) == _running()
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]


def test_a_stopped_stack_keeps_secrets_and_forgets_addresses(tmp_path: Path) -> None:
    state = _running()
    state.forget_addresses()
    save_state(tmp_path, state)
    environment = read_environment(tmp_path)
    assert environment.is_set("SECRET_KEY")
    assert not environment.stack.keys() & {"DATABASE_URL", "REDIS_URL", "AIPLATFORM_PORT"}
    assert load_state(tmp_path).secrets == {"admin": "pw"}
    assert load_state(tmp_path).pids == {}


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"environment": ')
    with pytest.raises(StackError, match=r"stack\.json can't be read"):
        load_state(tmp_path)


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert load_state(tmp_path) == StackState()
