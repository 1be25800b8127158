"""What can be told from the first bytes of an input file: text in UTF-8, or something that is no JSONL at all."""

from apps.jobs.domain.intake import LineError

HEAD_BYTES = 4096
_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_KNOWN = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"BZh91AY&SY": "a bzip2 archive",
    b"\xfd7zXZ\0": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document",
    b"\x7fELF": "a program",
    b"GIF8": "a GIF image",
    b"SQLite format 3\0": "a database",
    b"PAR1": "a Parquet file",
}
_TEXT_CONTROLS = b"\t\n\r\f"
# Text has next to no control characters, random bytes have 11 %. A few are told line by line, with their places.
_MAX_CONTROL_SHARE = 0.05
_MAX_CONTROLS = 16


def refuse_head(head: bytes) -> LineError | None:
    """One clear error for a file that is not UTF-8 text, instead of one for each of its lines; `head` is its first 4 KiB."""
    if head.startswith(_UTF_16_OR_32) or (len(head) > 1 and 0 in head[:2] and head[:2].strip(b"\0") in {b"{", b"\n", b" "}):
        return _not_jsonl("UTF-16 or UTF-32 text; save it as UTF-8")
    for magic, kind in _KNOWN.items():
        if head.startswith(magic):
            return _not_jsonl(f"{kind}; unpack or export it as JSONL first")
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    if controls > len(head) * _MAX_CONTROL_SHARE and controls > _MAX_CONTROLS:
        return _not_jsonl("binary data; a batch file is JSON objects, one a line, in UTF-8")
    return None


def empty_file() -> LineError:
    """The error for a file without a single request."""
    return LineError("empty_file", "The input file holds no requests: write one JSON object a line.")


def too_many(max_lines: int) -> LineError:
    """The error for a file with more requests than one batch takes."""
    return LineError("too_many_tasks", f"The input file holds more than {max_lines:,} requests; cut it into several batches.")


def too_many_lines(max_lines: int) -> LineError:
    """The error for a file that is mostly blank lines, which nobody counts as requests but somebody has to read."""
    return LineError("too_many_tasks", f"The input file holds more than {max_lines:,} lines, blank ones included; leave those out.")


def too_much(max_bytes: int) -> LineError:
    """The error for a file of short lines that name long prompts, which no file of whole requests could be."""
    return LineError("file_too_large", f"With their prompts the requests come to more than {max_bytes:,} bytes; cut the file into several.")


def _not_jsonl(what: str) -> LineError:
    return LineError("invalid_file", f"The input file is not JSONL but {what}.")
