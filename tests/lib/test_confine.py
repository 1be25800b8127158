"""A process that reads what strangers made is shut in: what a file might make its libraries do leads nowhere."""

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

# What it tries, in its own process, once it has shut itself in.
TRIES = {
    "a socket": "import socket; socket.socket()",
    "a connection": "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "a name": "import socket; socket.getaddrinfo('localhost', 80)",
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "import os; os.system('true')",
    "a fork": "import os; os._exit(7) if os.fork() == 0 else os.wait()",
    "another program instead": "import os; os.execv('/bin/true', ['true'])",
    "a page": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
    "a new file": "open('/tmp/left', 'x')",
    "a changed file": "import os; os.open('/dev/null', os.O_WRONLY)",
    "a removed file": "import os; os.remove('/tmp/left')",
}
_TRY = """
import json, sys
from apps.lib.confine import shut_in
shut_in("A reader")
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


@pytest.mark.parametrize("what", TRIES)
def test_a_reader_opens_no_socket_starts_no_program_and_writes_no_file(what: str) -> None:
    assert "A reader does not do this" in attempt(TRIES[what])


def test_before_it_shuts_itself_in_it_could() -> None:
    """Else the test above would prove nothing."""
    assert attempt(TRIES["a socket"], _TRY.replace('shut_in("A reader")', "")) == ""


def test_what_a_reader_needs_still_works() -> None:
    assert attempt("import openpyxl, csv, zipfile; 'a'.encode('utf-16'); open('/dev/null').close()") == ""


# Each reader as it is, but for what would look at the file: that tries to get out.
_OF_TABLES = """
import json, sys
from apps.files.extraction import tables
def look(*_):
    exec("import socket; socket.socket()")
tables._entries = look
try:
    sys.argv[1:] = ["", "10", "0"]
    tables.main()
except PermissionError as error:
    print(json.dumps(str(error)))
"""
_OF_DOCUMENTS = """
import json
from apps.knowledge.extraction import child
def look(_):
    open("/tmp/left", "x")
try:
    child._read(look, None)
except PermissionError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.parametrize(("program", "who"), [(_OF_TABLES, "A reader of tables"), (_OF_DOCUMENTS, "A reader of documents")])
def test_the_readers_shut_themselves_in_before_they_look_at_a_file(program: str, who: str) -> None:
    assert f"{who} does not do this" in attempt("", program)
