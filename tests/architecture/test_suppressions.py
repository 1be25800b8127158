"""Every silenced warning says why, in its own line."""

import re

from tests.architecture.source import ROOT, python_files

_NOQA = re.compile(r"#\s*noqa(?P<rest>.*)")
_WITH_REASON = re.compile(r"^: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* -- \w+")
_IGNORE = re.compile(r"#\s*type: ignore(?P<rest>.*)")
_IGNORE_WITH_REASON = re.compile(r"^\[[a-z-]+(, ?[a-z-]+)*\]\s+(#|--) ?\w+")


def test_every_suppression_has_a_reason() -> None:
    bare = []
    for file in python_files():
        if file.name == "test_suppressions.py":
            continue
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            noqa, ignore = _NOQA.search(line), _IGNORE.search(line)
            if (noqa and not _WITH_REASON.match(noqa["rest"])) or (ignore and not _IGNORE_WITH_REASON.match(ignore["rest"])):
                bare.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()}")
    assert bare == []


def test_every_skipped_test_has_a_reason() -> None:
    bare = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in python_files()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if re.search(r"pytest\.mark\.(skip|xfail)\b(?!if)", line) and "reason=" not in line and file.name != "test_suppressions.py"
    ]
    assert bare == []
