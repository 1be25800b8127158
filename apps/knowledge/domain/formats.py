"""The formats that are read, by media type, with the endings that their names may have."""

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"
CSV = "text/csv"
EMAIL = "message/rfc822"

ENDINGS: dict[str, tuple[str, ...]] = {
    PDF: (".pdf",),
    DOCX: (".docx",),
    PPTX: (".pptx",),
    XLSX: (".xlsx",),
    HTML: (".html", ".htm", ".xhtml"),
    MARKDOWN: (".md", ".markdown"),
    PLAIN: (".txt", ".text"),
    CSV: (".csv", ".tsv"),
    EMAIL: (".eml",),
}
TYPE_OF_ENDING = {ending: media_type for media_type, endings in ENDINGS.items() for ending in endings}
NAMES = {
    PDF: "a PDF",
    DOCX: "a Word document (.docx)",
    PPTX: "a presentation (.pptx)",
    XLSX: "a workbook (.xlsx)",
    HTML: "a web page",
    MARKDOWN: "Markdown",
    PLAIN: "plain text",
    CSV: "a table in text (CSV)",
    EMAIL: "an e-mail",
}
TAKEN = "PDF, DOCX, PPTX, XLSX, HTML, Markdown, plain text, CSV and e-mail (.eml)"


def ending_of(filename: str) -> str:
    """Of "Report.PDF" it is ".pdf"; empty when the name has none."""
    stem, dot, ending = filename.rpartition(".")
    return f".{ending.lower()}" if dot and stem and len(ending) <= 10 and "/" not in ending else ""
