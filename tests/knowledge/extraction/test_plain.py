"""Plain text, whatever encoding it is in."""

import pytest

from tests.knowledge.extraction.reading import read, refused, shown


def test_paragraphs_with_their_lines() -> None:
    found = read(b"\n\nFirst.\r\n\r\n\r\nSecond,\r\nof two lines.\r\n", "Notes of May.txt")
    assert (found.media_type, found.title, found.pages) == ("text/plain", "Notes of May", 1)
    assert shown(found) == [("text", "First.", "line 3"), ("text", "Second,\nof two lines.", "lines 6-7")]


GERMAN = "Größe und Gewicht der Bücher für München hängen vom Papier ab; über die Preise spricht man später. " * 3
POLISH = "Zażółć gęślą jaźń. Książki są drogie, ponieważ papier podrożał, a drukarnie mają za dużo pracy. " * 3
RUSSIAN = "Цена книги зависит от бумаги, и печатать её в Москве дороже, чем в других городах страны. " * 3
JAPANESE = "本の値段は紙によって変わります。東京で印刷すると、ほかの町より高くなります。" * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"), (GERMAN, "utf-8-sig"), (GERMAN, "utf-16"), (GERMAN, "utf-32"), (GERMAN, "latin-1"), (GERMAN, "cp1252"),
        (POLISH, "cp1250"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "shift_jis"), (JAPANESE, "euc-jp"),
    ],
)  # fmt: skip
def test_the_encoding_is_found(text: str, encoding: str) -> None:
    assert read(text.encode(encoding)).sections[0].text == text.rstrip()


def test_what_nobody_sees_is_left_out() -> None:
    text = "A\u0301 soft\u00adhyphen, a \ufeffmark\u200b and \x07 a bell."
    assert read(text.encode()).sections[0].text == "\u00c1 softhyphen, a mark and  a bell."


def test_text_for_a_printer_or_a_terminal_says_what_is_seen() -> None:
    struck = "N\bNA\bAM\bME\bE\n  _\bc_\bat - \N{BULLET}\b\N{BULLET} \x1b[1;31mcopies\x1b[0m\n".encode() * 5
    assert read(struck, "cat.1.txt").sections[0].text.split("\n")[:2] == ["NAME", "  cat - \N{BULLET} copies"]


@pytest.mark.parametrize("content", [b"\0\1\2\3" * 50, "no mark".encode("utf-16-le") * 20])
def test_binary_data_is_no_text(content: bytes) -> None:
    assert refused(content, "a").code == "unsupported_format"
    assert refused(content, "a.txt").code == "wrong_type"


def test_an_encoding_that_it_claims_must_hold() -> None:
    error = refused("Größe".encode("utf-16")[:-1])
    assert error.code == "unreadable_encoding"
    assert "begins like UTF-16" in error.message


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n", b"\xef\xbb\xbf"])
def test_nothing_is_refused(content: bytes) -> None:
    assert refused(content).code == "empty"
