"""Requests that are hostile before anybody reads their body: heads, lengths, forms, queries, addresses."""

import gzip
from collections.abc import Iterator

from tests.hostile.bodies import BATCHES, CHAT, DOORS
from tests.hostile.cases import BOUNDARY, FORM_TYPE, RequestCase, form, once, part, request
from tests.hostile.files import line

FILES = "POST /v1/files"
PARTS = "POST /v1/uploads/{id}/parts"
BATCH = DOORS[BATCHES][1].replace(b"<bad>", b'"1"')
LIST = "GET /v1/files"
PURPOSE = part(b"purpose", b"batch")
FILE = part(b"file", line(), filename=b"a.jsonl")
# What the server itself says of what is no HTTP, before the platform sees anything.
NO_HTTP = "Invalid HTTP request"


def _heads() -> Iterator[RequestCase]:
    yield request(LIST, "a header of 1 MB", NO_HTTP, headers=["X-Long: " + "x" * (1 << 20)])
    yield request(LIST, "a header of 50 kB", "data", status=200, headers=["X-Long: " + "x" * 50_000])
    yield request(LIST, "50,000 headers", NO_HTTP, headers=[f"X-{number}: {'x' * 20}" for number in range(50_000)])
    yield request(LIST, "a NUL in a header", NO_HTTP, headers=[b"X-Feature: a\0b"])
    yield request(LIST, "a NUL in a header's name", NO_HTTP, headers=[b"X-\0: a"])
    yield request(LIST, "a header over two lines", "data", status=200, headers=[b"X-Folded: a\r\n b"])
    yield request(LIST, "a header without a colon", NO_HTTP, headers=[b"X-Nothing \0:x"])
    yield request(LIST, "a key that is no UTF-8", "not an API key", status=401, headers=[b"Authorization: Bearer \xff\xfe"])
    yield request(LIST, "a key of 40 kB", "not an API key", status=401, headers=["Authorization: Bearer " + "a" * 40_000])
    yield request(LIST, "two keys", "Incorrect API key", status=401, headers=["Authorization: Bearer aip-a aip-b"])
    yield request(LIST, "no key", "Authorization: Bearer", status=401, headers=["Authorization:"])
    yield request(LIST, "another host", "HTTP_HOST", headers=["Host: evil.example"])
    yield request(LIST, "no host", NO_HTTP, headers=["Host:"])
    yield request(LIST, "a host that is no name", "HTTP_HOST", headers=["Host: a@b/c"])
    yield request(LIST, "an Accept that nobody can give", "Accept", status=406, headers=["Accept: image/png"])
    yield RequestCase("TLS", LIST, (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), once(b""), 400, NO_HTTP)
    yield RequestCase("no HTTP", LIST, (b"HELO platform",), once(b""), 400, NO_HTTP)
    yield RequestCase("another HTTP", LIST, (b"GET /v1/files HTTP/9.9", b"Host: <host>"), once(b""), 401, "No API key")


def _lengths() -> Iterator[RequestCase]:
    def batch(what: str, told: str, *headers: str, status: int | None = 400, body: bytes = BATCH) -> RequestCase:
        return request(BATCHES, what, told, status=status, headers=headers, body=body)

    for length in ("x", "-5", "1e3", "0x10", "5, 6", "9" * 30):
        yield batch(f"a Content-Length of {length[:10]}", NO_HTTP, f"Content-Length: {length}")
    yield batch("two lengths", NO_HTTP, "Content-Length: 5", "Content-Length: 6")
    yield batch("a length of a terabyte", "longer than the 4 MB", "Content-Length: 1099511627776", status=413)
    yield batch("a length that is too short", "line 1, column", "Content-Length: 40")
    yield batch("a length that is too long", "", "Content-Length: 100000", status=None)
    chunked = b"5\r\n[1, 2\r\n1\r\n]\r\n0\r\n\r\n"
    yield batch("chunks", "must be a JSON object", "Transfer-Encoding: chunked", body=chunked)
    yield batch("chunks that are no numbers", NO_HTTP, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n", status=None)
    yield batch("a chunk of 16 exabytes", "", "Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\n{}", status=None)
    yield batch("chunks that never end", "", "Transfer-Encoding: chunked", body=b"5\r\n[1, 2\r\n", status=None)
    both = ("Transfer-Encoding: chunked", "Content-Length: 4")
    yield batch("a length and chunks", "Content-Length", *both, body=chunked)
    yield batch("chunks twice", NO_HTTP, "Transfer-Encoding: chunked, chunked", body=chunked)
    yield batch("chunks by another name", NO_HTTP, "Transfer-Encoding: xchunked", body=chunked)
    yield batch("gzip in transfer", NO_HTTP, "Transfer-Encoding: gzip, chunked", body=chunked)
    yield batch(
        "gzip as the content's encoding", "Content-Encoding", "Content-Encoding: gzip", status=415, body=gzip.compress(BATCH, mtime=0)
    )
    yield request(
        CHAT,
        "gzip as the content's encoding",
        "Content-Encoding",
        status=415,
        headers=["Content-Encoding: gzip"],
        body=gzip.compress(b"{}", mtime=0),
    )
    for kind in ("text/plain", "application/x-www-form-urlencoded", "///", "application/json5"):
        yield request(BATCHES, f"the type {kind}", "media type", status=415, body=BATCH, content_type=kind)
    yield request(BATCHES, "no type", "media type", status=415, body=BATCH, headers=["Content-Type:"])
    yield request(BATCHES, "a type of 10 kB", "media type", status=415, body=BATCH, content_type="a/" + "b" * 10_000)
    yield request(BATCHES, "a form", "media type", status=415, body=form(PURPOSE), content_type=FORM_TYPE)
    yield request(FILES, "JSON", "media type", status=415, body=b"{}")


def _forms() -> Iterator[RequestCase]:
    def upload(what: str, told: str, body: bytes, *, status: int = 400, content_type: str = FORM_TYPE) -> RequestCase:
        return request(FILES, what, told, status=status, body=body, content_type=content_type)

    good = form(PURPOSE, FILE)
    yield upload("no boundary", "boundary", good, content_type="multipart/form-data")
    yield upload("an empty boundary", "boundary", good, content_type="multipart/form-data; boundary=")
    yield upload(
        "a boundary of 1,000 characters", "boundary=xxx", good, status=415, content_type="multipart/form-data; boundary=" + "x" * 1000
    )
    yield upload("a boundary that is no ASCII", "boundary", good, content_type="multipart/form-data; boundary=\u00e4")
    yield upload("another boundary", "field 'file'", good, content_type="multipart/form-data; boundary=other")
    yield upload("nothing", "field 'file'", b"")
    yield upload("no form at all", "field 'file'", b"hello")
    yield upload("5,000 fields", "number of GET/POST parameters", form(*(part(b"f%d" % number, b"x") for number in range(5000)), FILE))
    yield upload("200 files", "number of files", form(PURPOSE, *(part(b"f%d" % number, b"x", filename=b"a") for number in range(200))))
    yield upload("a field's name of 100 kB", "header", form(part(b"n" * 100_000, b"x"), FILE))
    yield upload("a field of 5 MB", "too large", form(part(b"purpose", b"x" * (5 << 20)), FILE), status=413)
    yield upload("a file that is no file", "field 'file'", form(PURPOSE, part(b"file", line())))
    yield upload("two files", "field 'file'", form(PURPOSE, FILE, FILE))
    yield upload("an empty file", "empty", form(PURPOSE, part(b"file", b"", filename=b"a")))
    yield upload("a name of dots", "field 'file'", form(PURPOSE, part(b"file", line(), filename=b"..")))
    yield upload("a name that is no UTF-8", "field 'file'", form(PURPOSE, part(b"file", line(), filename=b"\xff\xfe.jsonl")))
    yield upload("a file without a name", "field 'file'", form(PURPOSE, part(b"file", line(), filename=b"")))
    yield upload("no purpose", "purpose", form(FILE))
    yield upload("<script> for a purpose", "purpose", form(part(b"purpose", b"<script>alert(1)</script>"), FILE))
    yield upload("a purpose that is no UTF-8", "purpose", form(part(b"purpose", b"\xff\xfe"), FILE))
    yield upload("a purpose with a NUL", "purpose", form(part(b"purpose", b"bat\0ch"), FILE))
    for seconds in (b"-1", b"1e400", "\u0663\u0666\u0660\u0660".encode(), b"9" * 5000):
        expiry = (part(b"expires_after[anchor]", b"created_at"), part(b"expires_after[seconds]", seconds))
        yield upload(f"an expiry of {seconds[:8].decode()}", "expires_after[seconds]", form(PURPOSE, *expiry, FILE))
    yield upload("base64 that is none", "base64", form(PURPOSE, part(b"file", b"!!!", b"Content-Transfer-Encoding: base64", filename=b"a")))
    klingon = b"--%b\r\nContent-Disposition: form-data; name=\"file\"; filename*=klingon''a\r\n\r\nx\r\n" % BOUNDARY
    yield upload("a name in Klingon", "", form(PURPOSE, klingon))
    yield upload("a name of 10,000 characters", "header", form(PURPOSE, part(b"file", line(), filename=b"n" * 10_000)))
    yield from _names()
    parts = "/v1/uploads/<upload>/parts"
    data = part(b"data", b"x" * 100, filename=b"a")
    yield request(PARTS, "more than was announced", "5 were announced", target=parts, body=form(data), content_type=FORM_TYPE)
    yield request(PARTS, "two parts at once", "field 'data'", target=parts, body=form(data, data), content_type=FORM_TYPE)
    yield request(PARTS, "no part", "field 'data'", target=parts, body=form(PURPOSE), content_type=FORM_TYPE)
    yield request(PARTS, "an empty part", "empty", target=parts, body=form(part(b"data", b"", filename=b"a")), content_type=FORM_TYPE)
    whole = form(PURPOSE, FILE)
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (whole[:70], whole[70:])) + b"0\r\n\r\n"
    chunked = ["Transfer-Encoding: chunked"]
    yield request(FILES, "a good form in chunks", '"object":"file"', status=200, body=pieces, content_type=FORM_TYPE, headers=chunked)
    theirs = "/v1/uploads/<theirs_upload>/parts"
    yield request(PARTS, "an upload of somebody else", "No such upload", status=404, target=theirs, body=form(data), content_type=FORM_TYPE)


def _names() -> Iterator[RequestCase]:
    """Taken, and shown as a plain name; `told` is what becomes of it."""
    for what, filename, shown in (
        ("a name that climbs", b"../../../etc/passwd", '"filename":"passwd"'),
        ("a name that climbs backwards", b"..\\..\\windows\\system.ini", '"filename":"system.ini"'),
        ("a name with a NUL", b"a\0.jsonl", '"filename":"a.jsonl"'),
        ("a name from right to left", "\u202egpj.exe".encode(), '"filename":"gpj.exe"'),
        ("a name of 500 characters", b"n" * 500, '"filename":"' + "n" * 255 + '"'),
        ("a name with markup", b"<script>alert(1)</script>.jsonl", '"filename":"script>.jsonl"'),
        ("a name with line ends", b"a%0d%0ab.jsonl", '"filename":"a%0d%0ab.jsonl"'),
    ):
        body = form(PURPOSE, part(b"file", line(), filename=filename))
        yield request(FILES, what, shown, status=200, body=body, content_type=FORM_TYPE)


def _queries() -> Iterator[RequestCase]:
    def jobs(what: str, told: str, query: str, *, status: int = 400) -> RequestCase:
        return request("GET /api/jobs", what, told, status=status, target="/api/jobs?" + query)

    for limit in ("0", "-1", "101", "1e2", "x", "%D9%A3", "9" * 5000, "1.0"):
        yield jobs(f"a limit of {limit[:10]}", "'limit' must be", f"limit={limit}")
    for cursor in ("x", "%00", "a" * 3000, "a" * 50_000, "%ff%fe", "bm9uZQ", "%F0%9F%98%80", "<their_cursor>"):
        yield jobs(f"the cursor {cursor[:12]}", "U+0000" if cursor == "%00" else "'cursor' is not one", f"cursor={cursor}")
    yield jobs("a query of 1 MB", NO_HTTP, "cursor=" + "a" * (1 << 20))
    yield jobs("2,000 parameters", "number of GET/POST parameters", "&".join(f"a{number}=1" for number in range(2000)))
    yield jobs("another status", "status", "status=%3Cscript%3E")
    yield jobs("another lane", "lane", "lane=now")
    yield jobs("a long kind", "kind", "kind=" + "x" * 1000)
    yield jobs("a day that is none", "created_after", "created_after=2026-02-31T00:00:00Z")
    yield jobs("a day that is a text", "created_before", "created_before=yesterday")
    yield jobs("before all days", "created_before", "created_before=0001-01-01T00:00:00%2B23:59")
    yield jobs("after all days", "created_after", "created_after=9999-12-31T23:59:59-23:59")
    yield jobs("an offset of a day", '"data":[', "created_after=2026-01-01T00:00:00%2B23:59", status=200)
    yield jobs("a parameter that is not there", '"data":[', "nonsense=1&nonsense=2", status=200)
    results = "/v1/batches/<batch>/results?"
    yield request("GET /v1/batches/{id}/results", "a line of nobody", "'after' must be", target=results + "after=x")
    yield request("GET /v1/batches/{id}/results", "a limit of ^2", "'limit' must be", target=results + "limit=%C2%B2")
    yield request("GET /v1/batches/{id}/results", "a limit without end", "'limit' must be", target=results + "limit=" + "9" * 5000)
    yield request("GET /v1/files", "a limit of x", "'limit' must be", target="/v1/files?limit=x")
    yield request("GET /v1/files", "another order", "for 'order'", target="/v1/files?order=%27%3B--")
    for query in ("limit=" + "9" * 5000, "after=%ff", "after=<theirs_file>", "purpose=%3Cscript%3E"):
        yield request(LIST, f"the query {query[:12]}", '"object":"list"', status=200, target="/v1/files?" + query)


def _addresses() -> Iterator[RequestCase]:
    for door, target in (
        ("GET /v1/files/{id}", "/v1/files/<theirs_file>"),
        ("GET /v1/files/{id}/content", "/v1/files/<theirs_file>/content"),
        ("DELETE /v1/files/{id}", "/v1/files/<theirs_file>"),
        ("GET /v1/batches/{id}", "/v1/batches/<theirs_batch>"),
        ("POST /v1/batches/{id}/cancel", "/v1/batches/<theirs_batch>/cancel"),
        ("GET /api/jobs/{id}", "/api/jobs/<theirs_batch>"),
        ("GET /api/jobs/{id}/events", "/api/jobs/<theirs_batch>/events"),
        ("POST /api/jobs/{id}/cancel", "/api/jobs/<theirs_batch>/cancel"),
    ):
        yield request(door, "somebody else's", "No such", status=404, target=target)
    for target in (
        "/v1/files/..%2f..%2fetc%2fpasswd",
        "/v1/files/" + "a" * 40_000,
        "/v1/files/%ff%fe",
        "/v1/files/%ED%A0%80",
        "/v1//files",
    ):
        yield request("GET /v1/files/{id}", f"the address {target[:24]}", "", status=404, target=target)
    yield request("GET /v1/files/{id}", "a NUL in the address", "U+0000", target="/v1/files/%00")
    for door, target in (
        (LIST, "/v1/files?api_key=<key>"),
        (LIST, "/v1/files?limit=1&key=<key>"),
        ("GET /v1/files/{id}", "/v1/files/<key>"),
        ("GET /api/jobs/{id}/events", "/api/jobs/<batch>/events?access_token=<key>"),
        ("GET /metrics", "/metrics?token=%61ip-" + "a" * 43),
        ("GET /admin/", "/admin/login/?next=/admin/?key=<key>"),
        ("GET /nothing", "/nothing?<key>"),
    ):
        yield request(door, f"a key in the address {target[:30]}", "treat this key as leaked", target=target)
    yield request("GET /v1/files/{id}", "bytes in the address", NO_HTTP, target=b"/v1/files/\xff\xfe", status=None)
    yield request("GET /v1/files/{id}", "an address of 1 MB", NO_HTTP, target="/v1/files/" + "a" * (1 << 20))
    for target in ("/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%5c..%5cetc", "/static/%00"):
        yield request("GET /static/", f"the address {target}", "", status=404, target=target)
    yield request("TRACE /v1/files", "another method", "not allowed", status=405)
    yield request("x" * 200 + " /v1/batches", "a method of 200 letters", "not allowed", status=405)


WIRES = [*_heads(), *_lengths(), *_forms(), *_queries(), *_addresses()]
