"""The first bytes of a file tell whether it is text at all."""

import gzip
import random

import pytest

from apps.jobs.domain.input_file import refuse_head


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ('{"custom_id": "a"}'.encode("utf-16"), "UTF-16"),
        ('{"custom_id": "a"}'.encode("utf-16-le"), "UTF-16"),
        ('{"custom_id": "a"}'.encode("utf-16-be"), "UTF-16"),
        ('{"custom_id": "a"}'.encode("utf-32"), "UTF-16 or UTF-32"),
        (gzip.compress(b"{}"), "gzip"),
        (b"PK\x03\x04\x14\x00", "zip"),
        (b"%PDF-1.7", "PDF"),
        (random.Random(1).randbytes(4096), "binary"),
    ],
)
def test_refuse_head_says_what_the_file_is(head: bytes, told: str) -> None:
    error = refuse_head(head)
    assert error is not None
    assert error.code == "invalid_file"
    assert told in error.message
    assert error.line is None


@pytest.mark.parametrize(
    "head", [b"", b"\n", b'{"a": 1}\r\n', b"\xef\xbb\xbf{}", '{"a": "é 日本"}'.encode()[:-3], b'{"a": "\x00"}', b"\0\0\0\n", b"hello"]
)
def test_refuse_head_leaves_text_to_the_lines(head: bytes) -> None:
    assert refuse_head(head) is None
