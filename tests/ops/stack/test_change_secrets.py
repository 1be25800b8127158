"""Secrets that a caller's environment changes in a running stack: refused is what would shut out what is still needed."""

import base64
import json
import stat
import time
from pathlib import Path
from threading import Thread

import pytest

from apps.lib.sealing import read_keys
from apps.ops.actions.stack.change_secrets import changed_secrets, secrets_to_start_with
from apps.ops.actions.stack.keep_restart import ask_for_restart, load_restart
from apps.ops.actions.stack.keep_state import save_state
from apps.ops.actions.stack.lock_home import lock_home
from apps.ops.actions.stack.plan_stack import settle_state
from apps.ops.actions.stack.replace_parts import replace_parts
from apps.ops.actions.stack.restart_parts import restart_parts
from apps.ops.domain.restart import Restart
from apps.ops.domain.stack import StackError, StackOptions, StackState
from apps.providers.models import Provider
from tests.factories.providers import make_provider
from tests.ops.stack.test_replace_parts import _GOOD, stack
from tests.ops.stack.test_supervise import Stack

__all__ = ["stack"]
pytestmark = pytest.mark.django_db


def pair(name: str, letter: bytes = b"k") -> str:
    return f"{name}:{base64.b64encode(letter * 32).decode()}"


KNOWN = {"SECRET_KEY": "first", "AIPLATFORM_ENCRYPTION_KEYS": pair("old")}


def test_nothing_said_and_the_same_said_change_nothing() -> None:
    assert changed_secrets(KNOWN, {"PATH": "/bin"}) == {}
    assert changed_secrets(KNOWN, KNOWN | {"SECRET_KEY_FALLBACKS": ""}) == {}


def test_a_new_secret_key_needs_the_present_one_as_a_fallback() -> None:
    with pytest.raises(StackError, match="every API key would be refused"):
        changed_secrets(KNOWN, {"SECRET_KEY": "second"})
    both = {"SECRET_KEY": "second", "SECRET_KEY_FALLBACKS": "first"}
    assert changed_secrets(KNOWN, both) == both
    assert changed_secrets(KNOWN | both, {"SECRET_KEY_FALLBACKS": ""}) == {"SECRET_KEY_FALLBACKS": ""}
    assert changed_secrets(KNOWN, {"SECRET_KEY_FALLBACKS": "second"}) == {"SECRET_KEY_FALLBACKS": "second"}
    # A shell from before the change can't bring the old one back.
    with pytest.raises(StackError, match="every API key would be refused"):
        changed_secrets(KNOWN | {"SECRET_KEY": "second", "SECRET_KEY_FALLBACKS": ""}, KNOWN)


def test_another_user_or_password_of_a_store_is_taken_and_another_server_is_not() -> None:
    known = KNOWN | {"DATABASE_URL": "postgresql://a:old@db:5432/one", "REDIS_URL": "redis://:old@cache:6379/0"}
    given = {"DATABASE_URL": "postgresql://b:new@db:5432/one", "REDIS_URL": "redis://:new@cache:6379/0"}
    assert changed_secrets(known, given) == given
    assert changed_secrets(known, known) == {}
    for name, url in (
        ("DATABASE_URL", "postgresql://a:old@other:5432/one"),
        ("DATABASE_URL", "postgresql://a:old@db:5432/two"),
        ("REDIS_URL", "redis://:old@cache:6380/0"),
    ):
        with pytest.raises(StackError, match=f"{name} is another server"):
            changed_secrets(known, {name: url})


def test_passwords_of_single_parts_are_taken_and_kept() -> None:
    given = {"AIPLATFORM_FLOWER_PASSWORD": "second", "EMAIL_URL": "smtp://a:b@mail"}
    assert changed_secrets(KNOWN, given) == given
    assert changed_secrets(KNOWN | given, given) == {}
    assert changed_secrets(KNOWN | given, {"EMAIL_URL": ""}) == {"EMAIL_URL": ""}


def test_a_stack_does_not_start_with_secrets_from_before_a_rotation() -> None:
    """They would take the place of the only copy of those in use."""
    rotated = {"SECRET_KEY": "second", "SECRET_KEY_FALLBACKS": "", "AIPLATFORM_ENCRYPTION_KEYS": pair("new", b"n")}
    with pytest.raises(StackError, match="every API key would be refused"):
        secrets_to_start_with(rotated, KNOWN)
    with pytest.raises(StackError, match="lacks 'new', which this stack has"):
        secrets_to_start_with(rotated, {"AIPLATFORM_ENCRYPTION_KEYS": pair("old")})
    with pytest.raises(StackError, match="another key than this stack has"):
        secrets_to_start_with(rotated, {"AIPLATFORM_ENCRYPTION_KEYS": pair("new", b"x")})
    assert secrets_to_start_with({}, KNOWN) == KNOWN
    assert secrets_to_start_with(rotated, {}) == {}
    both = {"AIPLATFORM_ENCRYPTION_KEYS": f"{pair('old')},{pair('new', b'n')}"}
    assert secrets_to_start_with(rotated, both) == both


def test_a_key_that_still_seals_something_can_not_be_taken_away() -> None:
    front = {"AIPLATFORM_ENCRYPTION_KEYS": f"{pair('new', b'n')},{pair('old')}"}
    assert changed_secrets(KNOWN, front) == front
    alone = {"AIPLATFORM_ENCRYPTION_KEYS": pair("new", b"n")}
    assert changed_secrets(KNOWN | front, alone) == alone
    make_provider(api_key_sealed="old:sealed")
    with pytest.raises(StackError, match=r"lacks what secrets are sealed with \(1 with 'old'\)"):
        changed_secrets(KNOWN | front, alone)


def test_the_key_that_seals_at_present_can_not_be_taken_away_though_nothing_is_sealed_yet() -> None:
    """Parts that are replaced last seal with it until then."""
    with pytest.raises(StackError, match="lacks 'old', which seals at present"):
        changed_secrets(KNOWN, {"AIPLATFORM_ENCRYPTION_KEYS": pair("new", b"n")})
    behind = {"AIPLATFORM_ENCRYPTION_KEYS": f"{pair('old')},{pair('new', b'n')}"}
    with pytest.raises(StackError, match="lacks 'old', which seals at present"):
        changed_secrets(KNOWN | behind, {"AIPLATFORM_ENCRYPTION_KEYS": pair("new", b"n")})


def test_what_was_sealed_with_a_dropped_key_during_the_restart_is_told(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a part does that an earlier restart did not get to."""
    front = {"AIPLATFORM_ENCRYPTION_KEYS": f"{pair('new', b'n')},{pair('old')}"}
    stack.state.environment |= KNOWN | front
    save_state(tmp_path, stack.state)
    monkeypatch.setenv("AIPLATFORM_ENCRYPTION_KEYS", pair("new", b"n"))
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    supervisor = Thread(target=lambda: until_asked(tmp_path, stack))
    provider = make_provider(api_key_sealed="new:sealed")

    def seal_with_the_old_one(_: object) -> None:
        Provider.objects.filter(id=provider.id).update(api_key_sealed="old:sealed")

    with lock_home(tmp_path):
        supervisor.start()
        with pytest.raises(StackError, match=r"lacks what secrets are sealed with \(1 with 'old'\): put it back"):
            restart_parts(home=tmp_path, parts=["exec"], report=seal_with_the_old_one)
        supervisor.join()


def until_asked(home: Path, stack: Stack) -> None:
    """What the supervisor does in its turns."""
    while load_restart(home) is None:
        time.sleep(0.02)
    replace_parts(home, stack.supervisor, _GOOD)


def test_another_key_by_the_same_name_is_refused() -> None:
    with pytest.raises(StackError, match="'old' in AIPLATFORM_ENCRYPTION_KEYS is another key"):
        changed_secrets(KNOWN, {"AIPLATFORM_ENCRYPTION_KEYS": pair("old", b"x")})


def test_the_parts_that_are_replaced_have_them_and_the_request_forgets_them(stack: Stack, tmp_path: Path) -> None:
    given = {"AIPLATFORM_ENCRYPTION_KEYS": pair("new")}
    ask_for_restart(tmp_path, Restart(id="mine", parts=("exec",), environment=given))
    file = tmp_path / "restart.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = Path(f"/proc/{stack.supervisor.processes['web'].pid}/environ").read_bytes()
    replace_parts(tmp_path, stack.supervisor, _GOOD)
    assert pair("new") not in file.read_text()
    assert load_restart(tmp_path) == Restart(id="mine", parts=("exec",), replaced=("exec",), is_over=True)
    assert stack.state.environment["AIPLATFORM_ENCRYPTION_KEYS"] == pair("new")
    assert pair("new").encode() in Path(f"/proc/{stack.supervisor.processes['exec'].pid}/environ").read_bytes()
    assert pair("new").encode() not in before


def test_the_next_stack_in_this_home_has_what_was_said_last(tmp_path: Path) -> None:
    options = StackOptions(
        home=tmp_path, project=tmp_path, port=1, flower_port=2, database_url="postgresql://x@y/z", redis_url="redis://z",
        has_local_model=False, cores=1, worker_stop_seconds=1,
    )  # fmt: skip
    state = StackState(environment=KNOWN | {"SECRET_KEY_FALLBACKS": "zeroth"})
    settle_state(options, state, {})
    assert state.environment["SECRET_KEY_FALLBACKS"] == "zeroth"
    settle_state(options, state, {"SECRET_KEY_FALLBACKS": ""})
    assert (state.environment["SECRET_KEY"], state.environment["SECRET_KEY_FALLBACKS"]) == ("first", "")
    assert list(read_keys([state.environment["AIPLATFORM_ENCRYPTION_KEYS"]])) == ["old"]
    assert json.dumps(state.as_json())
