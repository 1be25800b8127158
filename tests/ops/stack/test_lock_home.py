"""One stack a home, and a killed one lets go of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.ops.actions.stack.lock_home import is_locked, lock_home
from apps.ops.domain.stack import StackError


def test_second_one_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with lock_home(tmp_path), pytest.raises(StackError, match=r"already runs in .*manage.py down"), lock_home(tmp_path):
        pass
    assert not is_locked(tmp_path)


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from apps.ops.actions.stack.lock_home import lock_home\n"
        "with lock_home(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "aiplatform.settings"}
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert not is_locked(tmp_path)


def test_a_home_without_a_stack_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
