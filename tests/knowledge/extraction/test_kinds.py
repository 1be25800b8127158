"""A file is what its content says; its name may not say something else."""

import pytest

from tests.knowledge.extraction.made import archive, mail, pdf, slides, word, workbook
from tests.knowledge.extraction.reading import read, refused

WORD = word(lambda document: document.add_paragraph("Text."))
PAGE = b"<!doctype html><title>a</title><p>Text."
MAIL = mail("S", "Text.")


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (pdf(["Text."]), "without an ending", "application/pdf"),
        (WORD, "odd.name", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (PAGE, "page", "text/html"),
        (PAGE, "page.txt", "text/html"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<HTML><p>Text.</HTML>", "page.xhtml", "text/html"),
        (MAIL, "message", "message/rfc822"),
        (MAIL, "message.txt", "message/rfc822"),
        (b"From ann@example.org Mon Nov  2 10:00:00 2026\n" + MAIL, "saved.eml", "message/rfc822"),
        (b"Date: today\nNote: this is a list\n\nText.", "a.txt", "text/plain"),
        (b"Text.", "noname", "text/plain"),
        (b"Text.", ".txt", "text/plain"),
        (b"def a(): pass", "a.py", "text/plain"),
    ],
)
def test_the_content_decides(content: bytes, name: str, media_type: str) -> None:
    assert read(content, name).media_type == media_type


@pytest.mark.parametrize(
    ("content", "name", "code", "message"),
    [
        (archive(("a.txt", b"a")), "a.pdf", "wrong_type", "a zip archive, and no document"),
        (archive(("a.txt", b"a")), "a.zip", "unsupported_format", "a zip archive, and no document"),
        (WORD, "a.pdf", "wrong_type", "Its name says a PDF, but it is a Word document"),
        (slides(lambda _: None), "a.docx", "wrong_type", "but it is a presentation"),
        (workbook(A=[("a",)]), "a.csv", "wrong_type", "but it is a workbook"),
        (pdf(["Text."]), "a.docx", "wrong_type", "but it is a PDF"),
        (PAGE, "a.pdf", "wrong_type", "but it is a web page"),
        (PAGE, "a.csv", "wrong_type", "but it is a web page"),
        (b"Text.", "a.pdf", "wrong_type", "but it is plain text"),
        (b"Text without headers.", "a.eml", "wrong_type", "but it is plain text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", "unsupported_format", "a picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.pdf", "unsupported_format", "a picture"),
        (b"{\\rtf1\\ansi Text.}", "a.doc", "unsupported_format", "Rich Text"),
        (b"\x1f\x8b\x08" + bytes(100), "a.txt.gz", "unsupported_format", "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "WordDocument".encode("utf-16-le"), "a.doc", "unsupported_format", ".docx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le"), "a.docx", "encrypted", "password"),
        (archive(("mimetype", b"application/vnd.oasis"), ("META-INF/manifest.xml", b"")), "a.odt", "unsupported_format", "OpenDocument"),
        (archive(("word/document.xml", b"<w/>"), ("word/vbaProject.bin", b"x")), "a.docm", "unsupported_format", "macros"),
    ],
)
def test_the_name_may_not_say_something_else(content: bytes, name: str, code: str, message: str) -> None:
    error = refused(content, name)
    assert (error.code, message in error.message) == (code, True), error.message
