"""What is installed is what the lock file says, byte for byte, and nothing runs by merely being installed."""

import re
import subprocess
import sys
import sysconfig
import zipfile
from hashlib import sha256
from pathlib import Path

from tests.architecture.source import ROOT

# Python runs these lines whenever it starts. The one of setuptools stands in every virtual environment of Python 3.11.
_KNOWN_PTH = {
    "distutils-precedence.pth": "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; "
    "enabled and __import__('_distutils_hack').add_shim();"
}
_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9._-]+)==[^\s;]+(?: ; .+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+",
    re.MULTILINE,
)


def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


def test_every_package_is_pinned_and_has_its_hashes_and_no_address() -> None:
    text = lock()
    named = re.findall(r"^(?![#\s])(\S+)", text, re.MULTILINE)
    pinned = [match["name"] for match in _ENTRY.finditer(text)]
    assert [entry.partition("==")[0] for entry in named] == pinned
    assert len(pinned) > 100
    assert re.findall(r"https?://|file:|git\+|--(?:extra-)?index-url|--find-links", text) == []


def test_nothing_runs_by_merely_being_installed() -> None:
    folders = {Path(sysconfig.get_paths()[name]) for name in ("purelib", "platlib")}
    found = {path.name: path.read_text().strip() for folder in folders for path in folder.glob("*.pth")}
    assert found.items() <= _KNOWN_PTH.items()
    # The other two that Python imports by itself, wherever they lie.
    hooks = [name for folder in folders for name in ("sitecustomize", "usercustomize") for path in folder.glob(f"{name}*")]
    assert hooks == []


def test_a_package_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    """By the options that the Makefile and the Dockerfile install with."""
    wheel = tmp_path / "honest-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as parts:
        parts.writestr("honest.py", "")
        parts.writestr("honest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: honest\nVersion: 1.0\n")
        parts.writestr("honest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        parts.writestr("honest-1.0.dist-info/RECORD", "")
    right = sha256(wheel.read_bytes()).hexdigest()
    wrong = f"{int(right[0], 16) ^ 1:x}{right[1:]}"
    for name, digest, is_taken in (("right", right, True), ("wrong", wrong, False)):
        (tmp_path / name).write_text(f"honest==1.0 --hash=sha256:{digest}\n")
        for options in install_options():
            command = [sys.executable, "-m", "pip", "install", *options, "--no-index", "--find-links", str(tmp_path)]
            done = subprocess.run(
                [*command, "--target", str(tmp_path / "there"), "--upgrade", "-r", str(tmp_path / name)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode == 0) == is_taken, done.stderr
            assert is_taken or "DO NOT MATCH THE HASHES" in done.stderr


def install_options() -> list[list[str]]:
    """The options of each place that installs from the lock."""
    found = []
    for name in ("Makefile", "Dockerfile"):
        line = next(line for line in (ROOT / name).read_text().splitlines() if "install" in line and "-r requirements.lock" in line)
        options = re.findall(r"--[a-z-]+", line)
        assert "--require-hashes" in options, name
        found.append(options)
    return found
