"""The process that reads tables is shut in: what a file might make its libraries do leads nowhere."""

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

# What it tries, in its own process, once it has shut itself in.
_TRIES = {
    "a socket": "import socket; socket.socket()",
    "a connection": "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "a name": "import socket; socket.getaddrinfo('localhost', 80)",
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "import os; os.system('true')",
    "a fork": "import os; os._exit(7) if os.fork() == 0 else os.wait()",
    "another program instead": "import os; os.execv('/bin/true', ['true'])",
    "a page": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
}
_TRY = """
import json, sys
from apps.files.extraction.tables import shut_in
shut_in()
try:
    exec(sys.argv[1])
except BaseException as error:
    text = f"{type(error).__name__}: {error}"
else:
    text = ""
print(json.dumps(text))
"""


def attempt(code: str, program: str = _TRY) -> str:
    """What stopped it; nothing, if nothing did."""
    command = [sys.executable, "-c", program, code]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONUTF8": "1"}, capture_output=True, text=True, check=True, timeout=60)
    return str(json.loads(done.stdout or '""'))


@pytest.mark.parametrize("what", _TRIES)
def test_the_reader_of_tables_opens_no_socket_and_starts_no_program(what: str) -> None:
    assert "A reader of tables does not do this" in attempt(_TRIES[what])


def test_before_it_shuts_itself_in_it_could() -> None:
    """Else the test above would prove nothing."""
    assert attempt(_TRIES["a socket"], _TRY.replace("shut_in()\ntry", "try")) == ""


def test_what_a_reader_needs_still_works() -> None:
    assert attempt("import openpyxl, csv, zipfile; 'a'.encode('utf-16'); open('/dev/null').close()") == ""
