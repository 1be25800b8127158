"""The two shapes of a hostile case, besides tables.py: a batch file, and one request exactly as it goes over the wire.

Whatever is big is made piece by piece, each time anew; nothing is kept.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Pieces = Callable[[], Iterable[bytes]]
# What only a running platform has, by the word that stands for it between < and >: host, key, session, csrf, workspace, and the ids
# upload, batch, file, and theirs_upload, theirs_batch, theirs_file of another workspace.
Known = dict[str, str]
BOUNDARY = b"----hostile"
_LONGEST_FILLED = 1 << 16


@dataclass(frozen=True)
class FileCase:
    """A batch file; `told` is a piece of the first error, `line` where it is (None: the file itself). Without `told` it is taken."""

    name: str
    make: Pieces
    told: str | None
    line: int | None = None
    code: str = "invalid_json_line"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class RequestCase:
    """One request. `told` stands in the answer and names the place; `status` None: the connection may end without an answer.

    `head` is sent as it is; one that states no length and has a body gets the true Content-Length.
    """

    name: str
    door: str
    head: tuple[bytes, ...]
    body: Pieces
    status: int | None
    told: str
    # A second piece of the answer, when the place does not stand beside what is wrong.
    place: str = ""

    def __str__(self) -> str:
        return f"{self.door}: {self.name}"

    def wire(self, known: Known) -> Iterator[bytes]:
        """The bytes to send, with what only a running platform knows put in."""
        lines = list(self.head)
        if not {name(line) for line in lines} & {b"content-length", b"transfer-encoding"}:
            lines.append(b"Content-Length: %d" % sum(len(_fill(piece, known)) for piece in self.body()))
        yield _replace(b"\r\n".join((*lines, b"", b"")), known)
        for piece in self.body():
            yield _fill(piece, known)


def name(line: bytes) -> bytes:
    """Of a header line."""
    return line.partition(b":")[0].strip().lower()


def _fill(piece: bytes, known: Known) -> bytes:
    return _replace(piece, known) if len(piece) < _LONGEST_FILLED else piece


def _replace(piece: bytes, known: Known) -> bytes:
    for word, value in known.items():
        piece = piece.replace(b"<%b>" % word.encode(), value.encode())
    return piece


def once(content: bytes) -> Pieces:
    return lambda: (content,)


def request(
    door: str,
    what: str,
    told: str,
    *,
    status: int | None = 400,
    target: str | bytes = "",
    body: bytes | Pieces | None = None,
    headers: Iterable[str | bytes] = (),
    content_type: str = "application/json",
) -> RequestCase:
    """A well-formed request but for what is asked for: `headers` take the place of those with the same name; an empty one leaves it out."""
    method, _, path = door.partition(" ")
    goal = target or path
    usual = [b"Host: <host>", b"Authorization: Bearer <key>", b"Connection: close"]
    if body is not None:
        usual.append(b"Content-Type: " + content_type.encode())
    changed = [header if isinstance(header, bytes) else header.encode() for header in headers]
    head = [line for line in usual if name(line) not in {name(line) for line in changed}]
    head += [line for line in changed if line.partition(b":")[2]]
    first = b"%b %b HTTP/1.1" % (method.encode(), goal if isinstance(goal, bytes) else goal.encode())
    return RequestCase(what, door, (first, *head), body if callable(body) else once(body or b""), status, told)


def part(name: bytes, content: bytes, *headers: bytes, filename: bytes | None = None) -> bytes:
    """One part of a form."""
    shown = b'Content-Disposition: form-data; name="%b"' % name + (b'; filename="%b"' % filename if filename is not None else b"")
    return b"--" + BOUNDARY + b"\r\n" + b"\r\n".join((shown, *headers)) + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"
