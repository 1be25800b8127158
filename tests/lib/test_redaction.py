"""Secrets are taken out in each form, by value and by look, and nothing else is touched."""

import base64
import io
import json
import logging
import logging.config
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.environment import Environment
from apps.lib.logs import configure_logs
from apps.lib.redaction import REDACTED, PieceRedactor, Redactor, forms_of, redact, redact_bytes, without_beginning

SECRET = 'pk+a "quoted" \\ one/=&' + "0123456789"
PLAIN = "GET http://host:8000/a@b and a task-id, risk-averse, basic needs"
BYTES = st.binary(max_size=7)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=10, max_size=60).map("a7{}".format), BYTES, BYTES)
def test_in_base64_whatever_stands_around_it(secret: str, before: bytes, after: bytes) -> None:
    whole = before + secret.encode() + after
    for packed in (base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
        assert REDACTED.encode() in redact_bytes(packed, secret)


@pytest.mark.parametrize("written", [SECRET, json.dumps(SECRET), quote(SECRET), quote(SECRET, safe=""), SECRET.encode().hex()])
def test_in_each_form(written: str) -> None:
    told = redact(f"before {written} after {written}", SECRET)
    assert told.count(REDACTED) == 2
    assert (told.startswith("before "), "0123456789" in told) == (True, False)


KEY = "sk-sk-0sk-proj-77/37+a1"
# What resembles the key, in each of its forms, as closely as it can without being it.
NEARLY = st.sampled_from([*(form[:end] for form in forms_of(KEY) for end in (1, 2, 3, -1)), "s", "k", "-", "7", "word "])
WHOLE = st.sampled_from(forms_of(KEY))


@given(st.lists(NEARLY | WHOLE, max_size=12).map("".join), st.lists(st.integers(0, 200), max_size=40))
def test_in_pieces_as_in_one(text: str, ends: list[int]) -> None:
    pieces = PieceRedactor(KEY)
    told, begun = "", 0
    for end in [*sorted(end for end in ends if end < len(text)), len(text)]:
        told += pieces.feed(text[begun:end])
        begun = end
        assert not any(form in told for form in forms_of(KEY))
        assert len(told) > len(redact(text[:end], KEY)) - max(map(len, forms_of(KEY)))
    assert told + pieces.end() == redact(text, KEY)


def test_nothing_waits_that_is_no_beginning_of_it() -> None:
    pieces = PieceRedactor(KEY)
    assert pieces.feed("Ordinary words, and a task-id") == "Ordinary words, and a task-id"
    assert not pieces.waits
    assert pieces.feed(" sk") == " "
    assert pieces.feed("y is the limit") == "sky is the limit"


@pytest.mark.parametrize("form", forms_of(KEY))
def test_what_is_cut_in_the_middle_of_it_ends_before_it(form: str) -> None:
    assert without_beginning(b"told: " + form[:-1].encode(), KEY) == b"told: " + REDACTED.encode()
    assert without_beginning(b"told: " + form[:4].encode(), KEY) == b"told: " + form[:4].encode()


def test_what_has_none_is_the_same_object() -> None:
    content = b"x" * 1000
    assert redact_bytes(content, SECRET) is content


@pytest.mark.parametrize("short", ["", "none", "EMPTY", "ollama"])
def test_what_protects_nothing_stays(short: str) -> None:
    assert redact(f"a {short} answer", short) == f"a {short} answer"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REDACTED}"),
        ("authorization: basic YWRtaW46cGFzcw==", f"authorization: basic {REDACTED}"),
        ("key aip-abcdefghijkl and sk-proj-abcdefghijkl", f"key aip-{REDACTED} and sk-{REDACTED}"),
        ("whsec_abcdefghijkl", f"whsec_{REDACTED}"),
        ("redis://:secret@host:1/0 postgresql://me:pa%40ss@host/db", f"redis://:{REDACTED}@host:1/0 postgresql://me:{REDACTED}@host/db"),
        ("sessionid=abc123; csrftoken=def456", f"sessionid={REDACTED}; csrftoken={REDACTED}"),
        (
            "GET http://host:8000/a@b and a task-id, risk-averse, basic needs",
            "GET http://host:8000/a@b and a task-id, risk-averse, basic needs",
        ),
    ],
)
def test_what_looks_like_one(line: str, told: str) -> None:
    assert Redactor([])(line) == told


def test_the_environment_knows_its_secrets() -> None:
    stack = {"SECRET_KEY": "from-the-stack"}
    variables = {
        "DATABASE_URL": "postgresql://me:p%40ssword-1@host/db",
        "EMAIL_URL": "smtp://me:password-2@host",
        "AIPLATFORM_ENCRYPTION_KEYS": "a:first-key-of-two, b:second-key-of-two",
        "PRIMARY_KEY": "sk-of-a-provider",
        "SHORT_TOKEN": "none",
        "OTHER_TOKEN": "production",
        "REDIS_URL": "redis://:aiplatform@host",
        "MONKEY": "not-a-secret-at-all",
        "AIPLATFORM_URL": "http://[broken",
    }
    found = Environment(variables, stack).secrets()
    assert {"from-the-stack", "p%40ssword-1", "p@ssword-1", "password-2", "first-key-of-two", "second-key-of-two"} <= found
    assert "sk-of-a-provider" in found
    assert not found & {"none", "production", "aiplatform", "not-a-secret-at-all"}


def test_a_line_of_the_log_holds_none_whatever_it_tells() -> None:
    """In the text, in an argument, in a bound value and in an exception."""
    config = configure_logs("INFO", secrets=[SECRET])
    formatter = config["formatters"]["json"]
    made = formatter.pop("()")(**formatter)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made)
    logger = logging.Logger("test")  # noqa: LOG001 -- one that nobody else sees
    logger.addHandler(handler)
    try:
        {}[SECRET]
    except KeyError:
        logger.exception("said %s", SECRET, extra={"more": SECRET})
    (line,) = stream.getvalue().splitlines()
    assert "0123456789" not in line
    assert json.loads(line)["event"] == f"said {REDACTED}"
    assert REDACTED in json.loads(line)["exception"]
