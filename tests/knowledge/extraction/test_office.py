"""Word documents, presentations and workbooks, as people see them."""

from datetime import date
from typing import Any

import docx
from docx.oxml.parser import parse_xml

from apps.knowledge.extraction import Limits
from tests.knowledge.extraction.made import add_slide, add_table, changed, slides, word, workbook
from tests.knowledge.extraction.reading import read, refused, shown

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def contract(document: Any) -> None:
    document.add_heading("The Contract", 0)
    document.add_paragraph("Between one and the other.")
    document.add_heading("Chapter 2", 1)
    document.add_heading("Limits", 2)
    document.add_paragraph("One", style="List Bullet")
    document.add_paragraph("Two", style="List Bullet")
    table = document.add_table(3, 3)
    for row, cells in enumerate([("Name", "Price", ""), ("Bolt", "0.10", ""), ("Nut\nM3", "", "new")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.add_paragraph("After the table.")


def test_a_word_document_in_the_order_of_reading() -> None:
    found = read(word(contract, title="", language="de-DE"), "a.docx")
    assert (found.title, found.language, found.pages) == ("The Contract", "de-DE", 1)
    limits = "Chapter 2 > Limits"
    assert shown(found) == [
        ("heading 1", "The Contract", "The Contract"),
        ("text", "Between one and the other.", "The Contract"),
        ("heading 1", "Chapter 2", "Chapter 2"),
        ("heading 2", "Limits", limits),
        ("list", "- One\n- Two", limits),
        ("table", "Name | Price\nBolt | 0.10\nNut M3 |  | new", limits),
        ("text", "After the table.", limits),
    ]


def test_tracked_changes_content_controls_links_and_text_boxes() -> None:
    def build(document: Any) -> None:
        document.element.body.insert(
            0,
            parse_xml(f"""
            <w:sdt {W}><w:sdtContent><w:p><w:r><w:t>In a form field.</w:t></w:r></w:p></w:sdtContent></w:sdt>"""),
        )
        document.element.body.insert(
            1,
            parse_xml(f"""
            <w:p {W}><w:r><w:t xml:space="preserve">The price is </w:t></w:r>
            <w:del><w:r><w:delText>ten</w:delText></w:r></w:del><w:ins><w:r><w:t>twelve</w:t></w:r></w:ins>
            <w:hyperlink><w:r><w:t xml:space="preserve"> Euro</w:t></w:r></w:hyperlink><w:r><w:tab/><w:t>a piece</w:t></w:r></w:p>"""),
        )

    assert [section.text for section in read(word(build), "a.docx").sections] == ["In a form field.", "The price is twelve Euro a piece"]


def test_footnotes_are_read() -> None:
    notes = f"""<?xml version="1.0"?><w:footnotes {W}><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>
        <w:footnote w:id="1"><w:p><w:r><w:t>As agreed in May.</w:t></w:r></w:p></w:footnote></w:footnotes>"""

    def build(document: Any) -> None:
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.opc.packuri import PackURI
        from docx.opc.part import Part

        document.add_paragraph("Text.")
        kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), document.part.package)
        document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)

    assert shown(read(word(build), "a.docx"))[1:] == [("heading 1", "Footnotes", "Footnotes"), ("list", "- As agreed in May.", "Footnotes")]


def test_a_heading_by_a_style_of_ones_own() -> None:
    def build(document: Any) -> None:
        own = document.styles.add_style("Our Chapter", docx.enum.style.WD_STYLE_TYPE.PARAGRAPH)
        own.base_style = document.styles["Heading 2"]
        document.add_paragraph("Scope", style=own)
        document.add_paragraph("Text.")

    assert shown(read(word(build), "a.docx"))[0] == ("heading 2", "Scope", "Scope")


def test_slides_with_tables_and_notes() -> None:
    def build(presentation: Any) -> None:
        slide = add_slide(presentation, "Prices", ["They rise", "and fall"], notes="Say it slowly.")
        add_table(slide, [("Name", "Price"), ("Bolt", "0.10")])
        add_slide(presentation, "End", ["Thanks."])

    found = read(slides(build), "Talk.pptx")
    assert (found.title, found.pages) == ("Prices", 2)
    assert shown(found) == [
        ("heading 1", "Prices", "slide 1"),
        ("list", "- They rise\n- and fall", "slide 1"),
        ("table", "Name | Price\nBolt | 0.10", "slide 1"),
        ("text", "Notes: Say it slowly.", "slide 1"),
        ("heading 1", "End", "slide 2"),
        ("text", "Thanks.", "slide 2"),
    ]


def test_sheets_with_blocks_of_rows() -> None:
    content = workbook(
        Prices=[("Name", "Price", "Since"), ("Bolt", 0.1, date(2026, 5, 1)), (), (), ("Sum", "=B2*2")],
        Empty=[],
        Notes=[("Only one cell",)],
    )
    found = read(content, "List.xlsx")
    assert (found.title, found.pages) == ("List", 3)
    assert shown(found) == [
        ("heading 1", "Prices", "sheet Prices"),
        ("table", "Name | Price | Since\nBolt | 0.1 | 2026-05-01", "sheet Prices, rows 1-2"),
        ("text", "Sum | =B2*2", "sheet Prices, row 5"),
        ("heading 1", "Notes", "sheet Notes"),
        ("text", "Only one cell", "sheet Notes, row 1"),
    ]


def test_what_a_formula_came_to_stands_in_its_place() -> None:
    content = changed(
        workbook(A=[(1, "=A1+1")]),
        "xl/worksheets/sheet1.xml",
        lambda part: part.replace(b"<v />", b"<v>2</v>").replace(b"<v></v>", b"<v>2</v>"),
    )
    assert read(content, "a.xlsx").sections[1].text == "1 | 2"


def test_a_sheet_that_lies_about_its_size_is_read_as_it_is() -> None:
    lie = changed(
        workbook(A=[("a", "b"), ("c", "d")]), "xl/worksheets/sheet1.xml", lambda part: part.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    )
    assert read(lie, "a.xlsx").sections[1].text == "a | b\nc | d"


def test_hidden_sheets_are_left_out() -> None:
    content = changed(
        workbook(A=[("seen",)], B=[("hidden",)]),
        "xl/workbook.xml",
        lambda part: part.replace(b'name="B" sheetId="2" state="visible"', b'name="B" sheetId="2" state="hidden"'),
    )
    assert [section.text for section in read(content, "a.xlsx").sections] == ["A", "seen"]


def test_nothing_in_it_is_told() -> None:
    assert refused(word(lambda _: None), "a.docx").code == "empty"
    assert refused(slides(lambda _: None), "a.pptx").code == "empty"
    assert refused(workbook(A=[]), "a.xlsx").code == "empty"


def test_too_many_slides_and_sheets() -> None:
    two = Limits(max_pages=2)
    assert refused(slides(lambda made: [add_slide(made, "a", ["b"]) for _ in range(3)]), "a.pptx", limits=two).code == "too_many_pages"  # type: ignore[arg-type,return-value]  # what it returns is not used
    assert refused(workbook(A=[("a",)], B=[("a",)], C=[("a",)]), "a.xlsx", limits=two).code == "too_many_pages"
