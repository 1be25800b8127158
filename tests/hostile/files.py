"""Batch files that nobody should have made."""

import gzip
import io
import json
import random
import zipfile
from collections.abc import Iterable, Iterator

from tests.hostile.cases import FileCase, Pieces, once
from tests.hostile.tables import workbook

CHAT = "/v1/chat/completions"
MODEL = "small"
_BLOCK = 1 << 20
_NOISE = random.Random(11)


def line(custom_id: object = "a", **changes: object) -> bytes:
    """A good line, but for `changes`."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    values = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | changes
    return json.dumps({name: value for name, value in values.items() if value is not ...}, ensure_ascii=False).encode() + b"\n"


def after_a_good_one(bad: bytes) -> Pieces:
    return once(line("good") + bad)


def with_value(value: bytes, custom_id: str = "a") -> bytes:
    """A line whose body has one more key, `x`, with this value."""
    return line(custom_id).replace(b'"messages"', b'"x": ' + value + b', "messages"')


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("requests.jsonl", line())
    return made.getvalue()


def _blocks(before: bytes, block: bytes, count: int, after: bytes) -> Pieces:
    def make() -> Iterator[bytes]:
        yield before
        for _ in range(count):
            yield block
        yield after

    return make


def _encodings() -> Iterable[FileCase]:
    text = (line("a") + line("b")).decode()
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield FileCase(f"{name} text", once(text.encode(name)), "UTF-16 or UTF-32 text", code="invalid_file")
    latin = line("good") + line("Müller").decode().encode("latin-1")
    yield FileCase("latin-1", once(latin), "not valid UTF-8 at byte 17 (0xfc)", 2)
    # Many good lines before them: a short file with so many zero bytes would be taken for binary data as a whole.
    good = b"".join(line(f"good {number}") for number in range(20))
    mixed = line("Müller") + line("Straße").decode().encode("cp1252") + line("Łódź").decode().encode("utf-16-le")
    yield FileCase("UTF-8, cp1252 and UTF-16 mixed", once(good + mixed), "not valid UTF-8 at byte 20 (0xdf)", 22)
    yield FileCase("a line of UTF-16 among others", once(good + line().decode().encode("utf-16-le")), "NUL byte (byte 2)", 21)
    yield FileCase("a NUL byte", after_a_good_one(line("ab").replace(b"ab", b"a\0b")), "NUL byte (byte 17)", 2)
    yield FileCase("an escaped NUL", after_a_good_one(line("ab").replace(b"ab", b"a\\u0000b")), "the character NUL", 2)
    yield FileCase("an escaped NUL in a key", after_a_good_one(with_value(b'{"a\\u0000": 1}')), "the character NUL", 2)
    yield FileCase("half a surrogate pair, the first", after_a_good_one(with_value(b'"\\ud83d"')), "surrogate in string at column 102", 2)
    yield FileCase("half a surrogate pair, the second", after_a_good_one(with_value(b'"\\ude00"')), "surrogate in string at column", 2)
    yield FileCase("a surrogate as bytes", after_a_good_one(with_value(b'"\xed\xa0\x80"')), "not valid UTF-8 at byte 102", 2)
    yield FileCase("an overlong slash", after_a_good_one(with_value(b'"\xc0\xaf"')), "not valid UTF-8 at byte 102", 2)
    yield FileCase("a byte order mark in the middle", after_a_good_one(b"\xef\xbb\xbf" + line()), "not parseable as valid JSON", 2)


def _json() -> Iterable[FileCase]:
    yield FileCase("1,000 levels", after_a_good_one(with_value(b"[" * 1000 + b"]" * 1000)), "nested too deeply: 250 levels", 2)
    deep = with_value(b"[" * 100_000 + b"]" * 100_000)
    yield FileCase("100,000 levels", after_a_good_one(deep), "depth limit exceeded at column", 2)
    yield FileCase("100,000 levels, not closed", after_a_good_one(with_value(b'{"a":' * 100_000)), "depth limit exceeded at column", 2)
    yield FileCase("1e999", after_a_good_one(with_value(b"1e999")), "number is infinity when parsed as double at column", 2)
    yield FileCase("-1e999", after_a_good_one(with_value(b"-1e999")), "number is infinity when parsed as double at column", 2)
    for word in ("NaN", "Infinity", "-Infinity"):
        yield FileCase(word, after_a_good_one(with_value(word.encode())), "JSON has no NaN and no Infinity", 2)
    yield FileCase("an integer of 5,000 digits", after_a_good_one(with_value(b"9" * 5000)), "number is infinity when parsed as double", 2)
    yield FileCase("an integer of 300 digits", once(with_value(b"9" * 300)), None)
    twice = line().replace(b'"method"', b'"custom_id": "b", "method"')
    yield FileCase("a doubled key", after_a_good_one(twice), "'custom_id' stands twice", 2)
    yield FileCase("a doubled key in the body", after_a_good_one(with_value(b'1, "model": "big"')), "The key 'model' stands twice", 2)
    yield FileCase("a doubled key, escaped", after_a_good_one(with_value(b'1, "mod\\u0065l": "big"')), "The key 'model' stands twice", 2)
    deep_twice = with_value(b'[{"a": {"content": 1, "content": 2}}]')
    yield FileCase("a doubled key far inside", after_a_good_one(deep_twice), "The key 'content' stands twice", 2)
    yield FileCase("a doubled key after 300,000 others", _many_keys, "The key 'k299999' stands twice", 1)
    yield FileCase("a million empty arrays", once(with_value(b"[" + b"[]," * 1_000_000 + b"[]]")), None)
    yield FileCase("a control character", after_a_good_one(with_value(b'"\x01"')), "control character in string at column", 2)
    yield FileCase("a comma too many", after_a_good_one(line().replace(b"}\n", b",}\n")), "not parseable as valid JSON", 2)
    yield FileCase("single quotes", after_a_good_one(line().replace(b'"', b"'")), "not parseable as valid JSON", 2)
    yield FileCase("a comment", after_a_good_one(b"// no JSON\n"), "at column 1", 2)
    yield FileCase("cut in the middle", after_a_good_one(line()[:-30]), "at column", 2)
    yield FileCase("two objects in a line", after_a_good_one(line()[:-1] + line()), "unexpected content after document at column", 2)
    yield FileCase("an array of requests", once(b"[" + line()[:-1] + b"]\n"), "must be a JSON object, not an array", 1)
    yield FileCase("one object over many lines", once(b'{\n "custom_id": "a"\n}\n'), "at column", 1)
    yield FileCase("a number", after_a_good_one(b"12\n"), "must be a JSON object, not a number", 2)


def _many_keys() -> Iterator[bytes]:
    head, _, tail = line().partition(b'"messages"')
    yield head + b'"x": {'
    for start in range(0, 300_000, 10_000):
        yield b"".join(b'"k%d":1,' % number for number in range(start, start + 10_000))
    yield b'"k299999":2}, "messages"' + tail


def _fields() -> Iterable[FileCase]:
    missing, kind, value = "missing_required_parameter", "invalid_type", "invalid_value"
    yield FileCase("no custom_id", after_a_good_one(line(...)), "custom_id is missing", 2, missing)
    yield FileCase("a custom_id that is a number", after_a_good_one(line(5)), "custom_id must be a string", 2, kind)
    yield FileCase("a long custom_id", after_a_good_one(line("x" * 65)), "65 characters", 2, "string_above_max_length")
    twins = line("caf\u00e9") + line("x") + line("cafe\u0301")
    yield FileCase("twins: composed and decomposed", once(twins), "already used in line 1", 3, "duplicate_custom_id")
    yield FileCase(
        "a custom_id twice", once(line("a") + line("b") + line("a")), "of line 3 is already used in line 1", 3, "duplicate_custom_id"
    )
    yield FileCase("another method", after_a_good_one(line(method="DELETE")), "method must be POST", 2, "invalid_method")
    yield FileCase("an address elsewhere", after_a_good_one(line(url="http://169.254.169.254/")), "is not one of", 2, "invalid_url")
    yield FileCase("an address that climbs", after_a_good_one(line(url="/v1/../admin/")), "is not one of", 2, "invalid_url")
    yield FileCase("another endpoint", after_a_good_one(line(url="/v1/embeddings")), "a batch has one endpoint", 2, "url_mismatch")
    yield FileCase("no body", after_a_good_one(line(body=...)), "has no body", 2, missing)
    yield FileCase("a body that is a text", after_a_good_one(line(body="{}")), "body must be an object", 2, kind)
    script = {"model": "<script>alert(1)</script>"}
    yield FileCase("<script> for a model", after_a_good_one(line(body=script)), "does not exist here", 2, "model_not_found")
    climbing = {"model": "../../etc/passwd"}
    yield FileCase("a path for a model", after_a_good_one(line(body=climbing)), "does not exist here", 2, "model_not_found")
    yield FileCase("a stream", after_a_good_one(line(body={"model": MODEL, "stream": True})), "body.stream", 2, value)
    feature = {"model": MODEL, "metadata": {"feature": "x" * 65}}
    yield FileCase("a long feature", after_a_good_one(line(body=feature)), "body.metadata.feature", 2, value)
    yield FileCase("1,500 wrong lines", once(b"x\n" * 1500), "unexpected character", 1)
    texts = {"model": MODEL, "messages": [{"role": "user", "content": "<script>alert(1)</script>"}], "user": "<script>alert(1)</script>"}
    texts |= {"metadata": {"feature": "<script>alert(1)</script>"}}
    yield FileCase("<script> in every text", once(line("<script>alert(1)</script>", body=texts)), None)
    odd = line("\u202e\u2028\ufeff=cmd|' /C calc'!A0") + line("'; DROP TABLE jobs_item; --") + line("{{7*7}} %s %(a)s ${x}")
    yield FileCase("texts that mean something elsewhere", once(odd), None)


def _whole_files() -> Iterable[FileCase]:
    def is_no_text(name: str, content: bytes, told: str) -> FileCase:
        return FileCase(name, once(content), told, code="invalid_file")

    noise = _NOISE.randbytes(8000)
    yield is_no_text("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + noise, "a PNG image")
    yield is_no_text("a zip archive", _zip(), "a zip archive")
    yield is_no_text("a workbook", workbook(("custom_id",), ("a",)), "a zip archive or an Office document")
    yield is_no_text("gzip", gzip.compress(line(), mtime=0), "a gzip archive")
    yield is_no_text("a gzip bomb", gzip.compress(bytes(50 << 20), mtime=0), "a gzip archive")
    yield is_no_text("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + noise, "a PDF")
    yield is_no_text("bzip2", b"BZh91AY&SY" + noise, "a bzip2 archive")
    yield is_no_text("xz", b"\xfd7zXZ\0" + noise, "an xz archive")
    yield is_no_text("7z", b"7z\xbc\xaf\x27\x1c" + noise, "a 7z archive")
    yield is_no_text("zstd", b"\x28\xb5\x2f\xfd" + noise, "a zstd archive")
    yield is_no_text("an old Office document", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise, "an old Office document")
    yield is_no_text("a program", b"\x7fELF\x02\x01\x01" + noise, "a program")
    yield is_no_text("a database", b"SQLite format 3\0" + noise, "a database")
    yield is_no_text("noise", noise, "binary data")
    yield FileCase("a CSV", once(b"custom_id,prompt\na,hello\n"), "not parseable as valid JSON", 1)
    yield FileCase("a web page", once(b"<!DOCTYPE html>\n<p>404</p>\n"), "not parseable as valid JSON", 1)
    yield FileCase("blank lines alone", once(b"\n\r\n \n" * 1000), "holds no requests", code="empty_file")
    blank = _blocks(line(), b"\n" * _BLOCK, 24, line("b"))
    yield FileCase("25 million blank lines", blank, "more than 2,000,000 lines", code="too_many_tasks")
    yield FileCase("old line ends", once((line("a") + line("b")).replace(b"\n", b"\r")), "unexpected content after document", 1)
    long_line = _blocks(line("good") + b'{"custom_id": "', b"x" * _BLOCK, 300, b'"}\n' + line("after"))
    yield FileCase("a line of 300 MB", long_line, "longer than 4,194,304 bytes", 2, "line_too_large")


FILES = [*_encodings(), *_json(), *_fields(), *_whole_files()]
