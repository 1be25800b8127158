"""Web pages: what their text says, by headings, without what is only for finding one's way around a site."""

import re
from collections.abc import Generator, Iterator
from typing import Any

from apps.knowledge.domain.formats import HTML
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.decoding import decode
from apps.knowledge.extraction.outline import Outline
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import clean, flowing, one_line, row_text

_NO_TEXT = ["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "select", "button", "input"]
_WAYFINDING = (
    "nav, [role=navigation], [role=banner], [role=contentinfo], [role=search], [hidden], [aria-hidden=true], body > header, body > footer, "
    ".navheader, .navfooter, .navbar, .sidebar, .sphinxsidebar, .related, .breadcrumb, .breadcrumbs, .headerlink, .skip-link"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# fmt: off
_INLINE = frozenset((
    "-text", "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em", "font", "i", "img", "ins", "kbd",
    "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
))
# fmt: on
_CHARSET_BYTES = 1024
_BLANKS = re.compile(r"\s+")


def read_web_page(source: Source) -> Extracted:
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 -- only for its own format

    tree = LexborHTMLParser(decode(source.content, _declared(source.content)))
    sections = source.collect(page_sections(tree))
    named = tree.css_first("title")
    first = next((section.text for section in sections if section.kind == "heading"), None)
    language = (tree.root.attributes.get("lang") or "") if tree.root else ""
    title = source.title(named.text() if named else None, first)
    return Extracted(media_type=HTML, title=title, language=language[:20], pages=1, sections=sections)


def html_sections(html: str) -> Iterator[Section]:
    """Of a page that came in something else, as in an e-mail."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 -- see above

    return page_sections(LexborHTMLParser(html))


def _declared(content: bytes) -> str:
    """The encoding that a page names near its beginning; "" when it names none."""
    head = content[:_CHARSET_BYTES].decode("latin-1").lower()
    _, found, rest = head.partition("charset=")
    if not found:
        _, found, rest = head.partition("encoding=")
    return rest.strip("\"' ").split('"')[0].split("'")[0].split(">")[0].split("?")[0].strip(" /;") if found else ""


def page_sections(tree: Any) -> Iterator[Section]:
    tree.strip_tags(_NO_TEXT, recursive=True)
    for node in tree.css(_WAYFINDING):
        if node.parent is not None:
            node.decompose()
    mains = tree.css("main, [role=main]")
    body = mains[0] if len(mains) == 1 else tree.body
    return _Walk().sections(body) if body is not None else iter(())


class _Walk:
    """Through a tree without recursion, because a page may be nested as deep as it likes."""

    def __init__(self) -> None:
        self._outline = Outline()
        self._inline: list[str] = []
        self._items: list[str] = []
        self._lists: list[int] = []
        self._mark = ""

    def sections(self, root: Any) -> Iterator[Section]:
        node = root
        while node is not None:
            done = yield from self._enter(node)
            below = None if done else node.child
            while below is None:
                yield from self._leave(node)
                if node.mem_id == root.mem_id:  # comparing nodes would compare all that is in them
                    yield from self._end_list()
                    return
                below = node.next
                node = node.parent if below is None else node
            node = below

    def _enter(self, node: Any) -> Generator[Section, None, bool]:
        """True when the node has been read with all that is in it."""
        tag = node.tag
        if tag == "-text":
            # The line ends of the source mean nothing.
            self._inline.append(_BLANKS.sub(" ", node.text_content or ""))
            return True
        if tag == "br":
            self._inline.append("\n")
        if tag in _INLINE or tag == "br":
            return False
        yield from self._end_paragraph()
        if tag in _HEADINGS:
            yield from self._end_list()
            yield self._outline.heading(_HEADINGS[tag], node.text())
            return True
        if tag in {"pre", "textarea"}:
            yield from self._end_list()
            yield self._outline.section(clean(node.text()), "code")
            return True
        if tag == "table" and (rows := _table(node)):
            yield from self._end_list()
            yield self._outline.section(rows, "table")
            return True
        if tag in {"ul", "ol", "menu"}:
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li":
            self._begin_item()
        return tag in {"head", "-comment"}

    def _leave(self, node: Any) -> Iterator[Section]:
        if node.tag in _INLINE or node.tag == "br":
            return
        yield from self._end_paragraph()
        if node.tag in {"ul", "ol", "menu"} and self._lists:
            self._lists.pop()
            if not self._lists:
                yield from self._end_list()

    def _begin_item(self) -> None:
        depth = max(len(self._lists) - 1, 0)
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
        number = self._lists[-1] if self._lists else -1
        self._mark = "  " * min(depth, 8) + (f"{number}. " if number > 0 else "- ")

    def _end_paragraph(self) -> Iterator[Section]:
        text = flowing("".join(self._inline))
        self._inline = []
        if not text:
            return
        if self._lists:
            self._items.append(self._mark + text if self._mark else f"{'  ' * min(len(self._lists), 8)}{text}")
            self._mark = ""
        else:
            yield from self._end_list()
            yield self._outline.section(text)

    def _end_list(self) -> Iterator[Section]:
        if self._items:
            yield self._outline.section("\n".join(self._items), "list")
        self._items = []


def _table(table: Any) -> str:
    """Its rows; nothing when it is there for the looks alone: with tables or headings in it, or one column."""
    if any(node.mem_id != table.mem_id for node in table.css("table, h1, h2, h3, ul, ol, pre")):
        return ""
    rows = [[one_line(cell.text(separator=" ")) for cell in row.iter() if cell.tag in {"td", "th"}] for row in table.css("tr")]
    if max((len(row) for row in rows), default=0) < 2:
        return ""
    return "\n".join(filter(None, map(row_text, rows)))
