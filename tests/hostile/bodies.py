"""Bodies of JSON that nobody should send, to every door that takes JSON."""

import gzip
from collections.abc import Iterable, Iterator

from tests.hostile.cases import RequestCase, once, request

CHAT = "POST /v1/chat/completions"
BATCHES = "POST /v1/batches"
UPLOADS = "POST /v1/uploads"
# What else than a JSON text must be right for each; `<bad>` is where the hostile value goes.
DOORS: dict[str, tuple[str, bytes]] = {
    CHAT: ("", b'{"model": "small", "messages": [{"role": "user", "content": "hi"}], "x": <bad>}'),
    "POST /v1/embeddings": ("", b'{"model": "small", "input": "hi", "x": <bad>}'),
    "POST /v1/responses": ("", b'{"model": "small", "input": "hi", "x": <bad>}'),
    BATCHES: ("", b'{"input_file_id": "<file>", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"x": <bad>}}'),
    UPLOADS: ("", b'{"bytes": 5, "filename": "a", "mime_type": "b", "purpose": "batch", "expires_after": {"x": <bad>}}'),
    "POST /v1/uploads/{id}/complete": ("/v1/uploads/<upload>/complete", b'{"part_ids": ["part_1"], "x": <bad>}'),
    "POST /api/keys": ("", b'{"name": "x", "scopes": ["chat"], "x": <bad>}'),
    "POST /api/jobs/{id}/lane": ("/api/jobs/<batch>/lane", b'{"lane": "bulk", "x": <bad>}'),
}
# (what, the value, what the answer says of it)
VALUES: tuple[tuple[str, bytes, str], ...] = (
    ("latin-1", b'"M\xfcller"', "not valid UTF-8 at byte"),
    ("a surrogate as bytes", b'"\xed\xa0\x80"', "not valid UTF-8 at byte"),
    ("a NUL byte", b'"a\0b"', "NUL byte (byte"),
    ("an escaped NUL", b'"a\\u0000b"', "\\u0000"),
    ("an escaped NUL in a key", b'{"a\\u0000": 1}', "\\u0000"),
    ("half a surrogate pair", b'"\\ud800"', "surrogate in string (line 1, column"),
    ("1,000 levels", b"[" * 1000 + b"]" * 1000, "nested too deeply: 250 levels"),
    ("100,000 levels", b"[" * 100_000 + b"]" * 100_000, "depth limit exceeded (line 1, column"),
    ("1e999", b"1e999", "number is infinity when parsed as double (line 1, column"),
    ("NaN", b"\nNaN", "JSON has no NaN and no Infinity"),
    ("-Infinity", b"-Infinity", "JSON has no NaN and no Infinity"),
    ("an integer of 5,000 digits", b"9" * 5000, "number is infinity when parsed as double (line 1, column"),
    ("a doubled key", b'1, "x": 2', "'x' stands twice"),
    ("a doubled key far inside", b'[{"a": {"b": 1, "c": 2, "b" : 3}}]', "'b' stands twice"),
    ("cut in the middle", b'"', "line 1, column"),
)


def _values() -> Iterator[RequestCase]:
    for door, (target, template) in DOORS.items():
        for what, value, told in VALUES:
            yield request(door, what, told, target=target, body=template.replace(b"<bad>", value))


def _whole() -> Iterator[RequestCase]:
    for door in (CHAT, BATCHES, "POST /api/keys"):
        target, template = DOORS[door]
        good = template.replace(b"<bad>", b"1")
        yield request(door, "UTF-16", "not valid UTF-8 at byte 1 (0xff)", target=target, body=good.decode().encode("utf-16"))
        yield request(door, "UTF-16 without a mark", "NUL byte (byte 2)", target=target, body=good.decode().encode("utf-16-le"))
        first = {CHAT: "line 1, column 1", BATCHES: "input_file_id", "POST /api/keys": "name"}
        yield request(door, "nothing", first[door], target=target, body=b"")
        yield request(door, "a list", "", target=target, body=b"[" + good + b"]")
        yield request(door, "a text", "", target=target, body=b'"' + b"x" * 1000 + b'"')
        yield request(door, "gzip", "not valid UTF-8 at byte 2 (0x8b)", target=target, body=gzip.compress(good, mtime=0))
        yield request(door, "5 MB", "longer than the 4 MB", status=413, target=target, body=_five_megabytes)
        many = b'{"x": {' + b"".join(b'"k%d":1,' % number for number in range(250_000)) + b'"k249999":2}}'
        yield request(door, "a doubled key after 250,000 others", "'k249999' stands twice", target=target, body=once(many))


def _five_megabytes() -> Iterator[bytes]:
    yield b'{"x": "'
    for _ in range(5):
        yield b"x" * (1 << 20)
    yield b'"}'


def _batches() -> Iterator[RequestCase]:
    def batch(what: str, told: str, **values: bytes) -> RequestCase:
        usual = {"input_file_id": b'"<file>"', "endpoint": b'"/v1/chat/completions"', "completion_window": b'"24h"'} | values
        return request(BATCHES, what, told, body=b"{" + b", ".join(b'"%b": %b' % (name.encode(), usual[name]) for name in usual) + b"}")

    yield batch("a file of somebody else", "input_file_id", input_file_id=b'"<theirs_file>"')
    yield batch("a path for a file", "input_file_id", input_file_id=b'"../../etc/passwd"')
    yield batch("a file id of 1 MB", "input_file_id", input_file_id=b'"' + b"x" * (1 << 20) + b'"')
    yield batch("a file id that is a list", "input_file_id", input_file_id=b"[[[]]]")
    yield batch("another endpoint", "endpoint", endpoint=b'"/admin/"')
    yield batch("another window", "completion_window", completion_window=b'"1s"')
    yield batch("an unknown parameter", "<script>", **{"<script>": b"1"})
    yield batch("metadata that is a list", "metadata", metadata=b'["a"]')
    yield batch("metadata with 17 pairs", "metadata", metadata=b"{" + b", ".join(b'"%d": "x"' % number for number in range(17)) + b"}")
    yield batch("metadata with a long value", "metadata", metadata=b'{"a": "' + b"x" * 513 + b'"}')
    yield batch("metadata with a long key", "metadata", metadata=b'{"' + b"x" * 65 + b'": "a"}')
    yield batch("another lane", "metadata.priority", metadata=b'{"priority": "now"}')
    for cost in ("NaN", "1e999", "-1", "0", "1e-999", "99999999.99999999999999", "1_000", "\u0663", ""):
        yield batch(f"a price of {cost!r}", "metadata.max_cost_usd", metadata=f'{{"max_cost_usd": "{cost}"}}'.encode())
    for seconds in (b"-1", b"true", b'"3600"', b"1e20", b"100000000000000000000"):
        expiry = b'{"anchor": "created_at", "seconds": %b}' % seconds
        yield batch(f"an expiry of {seconds.decode()}", "output_expires_after.seconds", output_expires_after=expiry)


def _calls() -> Iterator[RequestCase]:
    good = b'{"model": "small", "messages": [{"role": "user", "content": "hi"}]}'
    yield request(CHAT, "no model", "model", body=b'{"messages": []}')
    yield request(CHAT, "a model that is a list", "model", body=b'{"model": ["small"], "messages": []}')
    yield request(CHAT, "a long model", "model has more than 200 characters", body=b'{"model": "' + b"x" * 201 + b'", "messages": []}')
    unknown = good.replace(b"small", b"<script>alert(1)</script>")
    yield request(CHAT, "<script> for a model", "alert(1)", status=404, body=unknown)
    yield request(CHAT, "messages that are a text", "messages", body=good.replace(b'[{"role": "user", "content": "hi"}]', b'"hi"'))
    yield request(CHAT, "messages of texts", "messages", body=good.replace(b'{"role": "user", "content": "hi"}', b'"hi"'))
    keys = b"".join(b'{"%b": ' % (b"k" * 16_000) for _ in range(200)) + b'"\\u0000"' + b"}" * 200
    yield request(
        CHAT, "an escaped NUL at the end of a path of 3 MB", "holds the character U+0000", body=good[:-1] + b', "x": ' + keys + b"}"
    )
    for cost in ("NaN", "1e999", "-1", "0.0000000000001", "100000000"):
        yield request(CHAT, f"a price of {cost}", "X-Max-Cost-USD", headers=[f"X-Max-Cost-USD: {cost}"], body=good)
    yield request(CHAT, "a long feature", "X-Feature", headers=["X-Feature: " + "x" * 65], body=good)


def _native() -> Iterator[RequestCase]:
    def key(what: str, told: str, values: bytes) -> RequestCase:
        return request("POST /api/keys", what, told, body=values)

    yield key("no name", "name", b'{"scopes": ["chat"]}')
    yield key("a name of 1 MB", "name", b'{"name": "' + b"x" * (1 << 20) + b'", "scopes": ["chat"]}')
    yield key("a name that is an object", "name", b'{"name": {"a": 1}, "scopes": ["chat"]}')
    yield key("scopes that nobody has", "scopes", b'{"name": "x", "scopes": ["root"]}')
    yield key("scopes that are a number", "scopes", b'{"name": "x", "scopes": 1e20}')
    yield key("an expiry that was", "expires_at", b'{"name": "x", "scopes": ["chat"], "expires_at": "0001-01-01T00:00:00+23:59"}')
    yield key(
        "an expiry after the year 9999", "expires_at", b'{"name": "x", "scopes": ["chat"], "expires_at": "9999-12-31T23:59:59-23:59"}'
    )
    yield request("POST /api/jobs/{id}/lane", "another lane", "lane", target="/api/jobs/<batch>/lane", body=b'{"lane": "<script>"}')
    yield request("POST /api/jobs/{id}/lane", "a lane that is a list", "lane", target="/api/jobs/<batch>/lane", body=b'{"lane": ["bulk"]}')


def _uploads() -> Iterator[RequestCase]:
    def start(what: str, told: str, **values: bytes) -> RequestCase:
        usual = {"bytes": b"5", "filename": b'"a"', "mime_type": b'"b"', "purpose": b'"batch"'} | values
        return request(UPLOADS, what, told, body=b"{" + b", ".join(b'"%b": %b' % (name.encode(), usual[name]) for name in usual) + b"}")

    for size in (b"0", b"-1", b"true", b'"5"', b"5.5", b"100000000000000000000000", b"null"):
        yield start(f"a size of {size.decode()}", "'bytes' must be", bytes=size)
    yield start("a name that is empty", "filename", filename=b'""')
    yield start("another purpose", "purpose", purpose=b'"<script>"')
    yield start("an expiry without end", "expires_after.seconds", expires_after=b'{"anchor": "created_at", "seconds": 1e20}')

    def complete(what: str, told: str, values: bytes) -> RequestCase:
        return request("POST /v1/uploads/{id}/complete", what, told, target="/v1/uploads/<upload>/complete", body=values)

    yield complete("no parts", "part_ids", b'{"part_ids": []}')
    yield complete("a part twice", "names a part twice", b'{"part_ids": ["part_1", "part_1"]}')
    yield complete("a part of nobody", "no part 'part_1'", b'{"part_ids": ["part_1"]}')
    many = b'{"part_ids": [' + b", ".join(b'"%d"' % number for number in range(10_001)) + b"]}"
    yield complete("10,001 parts", "10,000 at most", many)
    yield complete("an MD5 that is none", "md5", b'{"part_ids": ["part_1"], "md5": "' + b"g" * 32 + b'"}')
    theirs = "/v1/uploads/<theirs_upload>/complete"
    yield request("POST /v1/uploads/{id}/complete", "an upload of somebody else", "No such upload", status=404, target=theirs, body=b"{}")


BODIES: Iterable[RequestCase] = [*_values(), *_whole(), *_batches(), *_calls(), *_native(), *_uploads()]
