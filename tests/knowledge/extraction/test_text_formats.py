"""Markdown, tables in text, and e-mails."""

import pytest

from tests.knowledge.extraction.made import mail
from tests.knowledge.extraction.reading import read, refused, shown

MARKDOWN = """---
title: "The Guide"
---
Intro
of two lines.

Setext
======

## Limits ##
- one
- two

1. first
2. second

| Name | Price |
|------|------:|
| Bolt | 0.10  |
| a \\| b | |

```python
# no heading
x = 1

y = 2
```

    indented code

* * *
### #
###Not a heading
"""


def test_markdown_as_it_is_marked() -> None:
    found = read(MARKDOWN.encode(), "a.md")
    assert (found.media_type, found.title) == ("text/markdown", "The Guide")
    limits = "Setext > Limits"
    assert shown(found) == [
        ("text", "Intro\nof two lines.", "beginning"),
        ("heading 1", "Setext", "Setext"),
        ("heading 2", "Limits", limits),
        ("list", "- one\n- two", limits),
        ("list", "1. first\n2. second", limits),
        ("table", "Name | Price\nBolt | 0.10\na | b", limits),
        ("code", "# no heading\nx = 1\n\ny = 2", limits),
        ("code", "indented code", limits),
        ("text", "###Not a heading", limits),
    ]


def test_code_that_never_ends_reaches_to_the_end() -> None:
    assert shown(read(b"# A\n```\nx\n# no heading\n", "a.md"))[1:] == [("code", "x\n# no heading", "A")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_with_its_rows(delimiter: str) -> None:
    rows = [["name", '"a,b;c"', "n"], ["x", '"two\nlines"', "1"], ["y", "", ""]]
    found = read("\n".join(delimiter.join(row) for row in rows).encode(), "List.csv")
    assert (found.media_type, found.title) == ("text/csv", "List")
    assert shown(found) == [("table", "name | a,b;c | n\nx | two lines | 1\ny", "rows 1-3")]


def test_rows_after_an_empty_one_are_a_block_of_their_own() -> None:
    assert shown(read(b"a,b\n1,2\n,\n3,4\n", "a.csv")) == [("table", "a | b\n1 | 2", "rows 1-2"), ("table", "3 | 4", "row 4")]


def test_a_quote_that_is_never_closed_is_told_with_its_line() -> None:
    error = refused(b'a,b\n1,2\n"x,3\ny,4\n', "a.csv")
    assert (error.code, "line 4" in error.message, "quotation mark" in error.message) == ("damaged", True, True)


def test_an_e_mail_with_what_is_attached() -> None:
    found = read(mail("Prices of May", "Hello,\n\nthey rise.\n", attached=[("list.pdf", b"%PDF")]), "a.eml")
    assert (found.media_type, found.title) == ("message/rfc822", "Prices of May")
    assert shown(found) == [
        ("heading 1", "Prices of May", "message headers"),
        ("text", "From: Ann <ann@example.org>\nTo: bob@example.org\nDate: Mon, 02 Nov 2026 10:00:00 +0100", "message headers"),
        ("text", "Hello,", "message body"),
        ("text", "they rise.", "message body"),
        ("list", "- list.pdf (application/pdf)", "attachments"),
    ]


def test_of_two_ways_of_saying_it_the_text_is_read() -> None:
    assert [part.text for part in read(mail("S", "Plain.", "<p>Rich.</p>"), "a.eml").sections[2:]] == ["Plain."]


def test_an_e_mail_that_is_a_page() -> None:
    page = mail("Größe", "", "<html><body><h1>News</h1><p>They <b>rise</b>.</p><script>x</script></body></html>")
    assert shown(read(page, "a.eml"))[2:] == [("heading 2", "News", "message body"), ("text", "They rise.", "message body")]


def test_an_encrypted_e_mail() -> None:
    assert refused(b"From: a@example.org\nSubject: x\nContent-Type: application/pkcs7-mime\n\nMIIB", "a.eml").code == "encrypted"


def test_an_old_encoding_in_an_e_mail() -> None:
    content = b"From: a@example.org\nSubject: =?iso-8859-1?Q?Gr=F6=DFe?=\nContent-Type: text/plain; charset=iso-8859-1\n\nGr\xf6\xdfe\n"
    found = read(content, "a.eml")
    assert (found.title, found.sections[-1].text) == ("Größe", "Größe")
