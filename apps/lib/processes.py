"""Child processes that never outlive their parent by accident: started with a death signal, ended by group, known by start time."""

import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT = 1, 8, 28, 47
_CAP_AMBIENT_RAISE, _NO_SETUID_FIXUP = 2, 4
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
UNPRIVILEGED_USER = "nobody"


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def drop_root() -> None:
    """Become an ordinary user that may still reach files below folders that only root may enter (one ambient capability).

    For programs that refuse to run as root (Postgres) while everything around them belongs to root. Runs between fork and exec.
    """
    user = pwd.getpwnam(UNPRIVILEGED_USER)
    _check(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
    # Without this access(2) goes by the user alone and reports the program's own binary as not executable.
    _check(_LIBC.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0), "secure bits")
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    bit = 1 << _CAP_DAC_OVERRIDE
    data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData(0, 0, 0))
    _check(_LIBC.capset(ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), data), "set capabilities")
    _check(_LIBC.prctl(_PR_CAP_AMBIENT, _CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0), "ambient capability")


def _prepare_child(*, nice: int, death_signal: int | None, unprivileged: bool, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        if nice:
            os.nice(nice)
        if unprivileged:
            drop_root()
        if death_signal is None:
            return
        # After the change of user, which clears it. The parent may have died before: then nobody would ever tell us.
        _check(_LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "death signal")
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def start_process(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: IO[bytes] | int,
    nice: int = 0,
    death_signal: int | None = signal.SIGTERM,
    unprivileged: bool = False,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that the terminal's Ctrl-C reaches only us.

    The kernel sends it `death_signal` when the thread that called this ends: call it from a thread that lives as long as the child should.
    With None it outlives us.
    """
    return subprocess.Popen(  # noqa: S603 -- the commands are the platform's own
        list(command),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output != subprocess.PIPE else None,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        preexec_fn=_prepare_child(  # noqa: PLW1509 -- the callers start processes before any thread of theirs
            nice=nice, death_signal=death_signal, unprivileged=unprivileged and os.geteuid() == 0, parent=os.getpid()
        ),
    )


def kill_group(pid: int) -> None:
    """Kill a session leader with everything it started; nothing happens when all are gone."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def stop_process(process: subprocess.Popen[bytes], *, stop_signal: int, grace_seconds: float) -> bool:
    """End a child: ask, wait up to `grace_seconds`, then kill its whole group. True when it ended on its own."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()
            return False
    kill_group(process.pid)
    return True


def start_time(pid: int) -> float | None:
    """When the process began, in seconds of the system's clock; None when it is gone or a zombie.

    With the pid it names one process for ever.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_same_process(pid: int, started_at: float) -> bool:
    """True when `pid` is still the process that began at `started_at`, not a later one with the same number."""
    found = start_time(pid)
    return found is not None and abs(found - started_at) < 1
