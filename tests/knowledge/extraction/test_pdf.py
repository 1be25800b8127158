"""PDFs, page by page."""

import pytest

from tests.knowledge.extraction.made import assembled, pdf, scanned_pdf
from tests.knowledge.extraction.reading import LIMITS, read, refused, shown


def test_pages_title_language_and_headings_of_the_outline() -> None:
    content = pdf(
        ["Preface text."],
        ["1 Limits", "Five pages at most.", "And a second", "heading of two lines", "with text."],
        outline=[("Limits", 1), ("And a second heading of two lines", 1)],
        title="The Guide",
        language="en-GB",
    )
    found = read(content, "a.pdf")
    assert (found.media_type, found.title, found.language, found.pages) == ("application/pdf", "The Guide", "en-GB", 2)
    assert shown(found) == [
        ("text", "Preface text.", "page 1"),
        ("heading 1", "1 Limits", "page 2"),
        ("text", "Five pages at most.", "page 2"),
        ("heading 1", "And a second heading of two lines", "page 2"),
        ("text", "with text.", "page 2"),
    ]


def test_empty_pages_count_and_say_nothing() -> None:
    found = read(pdf(["One."], [], ["Three."]), "Report.pdf")
    assert (found.title, found.pages) == ("Report", 3)
    assert [section.anchor for section in found.sections] == ["page 1", "page 3"]


def test_a_word_that_was_parted_is_one_again() -> None:
    content = pdf(["The most that a docu-", "ment may have, by S-", "Plus as in http://a.example/debian-", "faq is told."])
    assert " ".join(read(content, "a.pdf").sections[0].text.split()) == (
        "The most that a document may have, by S-Plus as in http://a.example/debian-faq is told."
    )


def test_words_that_are_moved_apart_instead_of_by_a_blank_are_two() -> None:
    moved = b"(flo) Tj 2.75 Tc (wc) Tj 0 Tc [250 (olors, is)] TJ 2.75 Tc (ab) Tj 0 Tc [250 (lock, not)] TJ 0.5 Tc (apart) Tj 0 Tc"
    assert read(pdf([moved]), "a.pdf").sections[0].text == "flow colors, isa block, notapart"
    # Also where the page has characters of which the library doesn't know what they mean.
    assert read(pdf([b"(a\\002 b ) Tj " + moved]), "a.pdf").sections[0].text == "a b flow colors, isa block, notapart"
    # A word that is set wide is one all the same.
    assert read(pdf([b"5 Tc (CONTENTS) Tj 0 Tc"]), "a.pdf").sections[0].text == "CONTENTS"
    # Where nothing is found for long, the rest stands as the library reads it.
    late = read(pdf(*[["Nothing of the kind. " * 100] * 5] * 6, [moved]), "a.pdf").sections[-1].text
    assert late == "flowcolors, isablock, notapart"


def test_accents_that_are_drawn_over_their_letters_are_one_with_them() -> None:
    beside = rb"[(M) -111 (\264) 444 (etro, f) 111 (\250) 222 (ur)] TJ"
    # The library tells those that are drawn a little higher after the words before them, with blanks about them.
    raised = b"0 0.1 Td [-2279 (\264)] TJ 0 -0.1 Td"
    between_words = b"(the cas is) Tj %b 49.5 0 Td (here) Tj -49.5 0 Td" % raised
    within_a_word = b"(the cas) Tj %b 35.5 0 Td (tle) Tj -35.5 0 Td" % raised
    alone = b"(`make`, x\264, \250 y) Tj"
    found = read(pdf([beside, between_words, within_a_word, alone]), "a.pdf").sections[0].text
    assert found.split("\n") == ["M\xe9tro, f\xfcr", "the c\xe1s is here", "the c\xe1stle", "`make`, x\xb4, \xa8 y"]


def test_a_locked_one_is_told_from_a_scanned_one() -> None:
    locked = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%b> /U <%b> /P -4 >> /ID [<00> <00>]" % (b"41" * 32, b"42" * 32)
    assert refused(pdf(["Secret."], more=locked), "a.pdf").code == "encrypted"
    error = refused(scanned_pdf(3), "a.pdf")
    assert (error.code, "OCR" in error.message) == ("no_text", True)
    assert refused(pdf([], []), "a.pdf").code == "empty"


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_what_was_cut_short_is_not_taken_for_the_whole(kept: float) -> None:
    content = pdf(*([f"Page {n}."] for n in range(50)))
    assert refused(content[: int(len(content) * kept)], "a.pdf").code == "damaged"


def test_the_length_that_it_states_must_be_there() -> None:
    whole = pdf(["First version."])
    stated = whole.replace(b"%PDF-1.7\n", b"%%PDF-1.7\n9 0 obj\n<< /Linearized 1 /L %d >>\nendobj\n" % (len(whole) * 2))
    assert "cut short" in refused(stated, "a.pdf").message


def test_too_many_pages() -> None:
    error = refused(pdf(["a"], ["b"], ["c"]), "a.pdf", limits=type(LIMITS)(max_pages=2))
    assert (error.code, "3 pages; 2 at most" in error.message) == ("too_many_pages", True)


def test_pages_that_go_round_in_circles_end() -> None:
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Count 2000000000 /Kids [2 0 R 2 0 R 2 0 R] >>"}
    assert refused(assembled(objects, b"/Root 1 0 R"), "a.pdf").code in {"too_many_pages", "damaged", "empty"}
