"""What the chaos cases have measured, printed as tables at the end of a run."""

from collections.abc import Iterator, Sequence

_tables: dict[str, list[Sequence[object]]] = {}
_texts: dict[str, str] = {}


def say(title: str, text: str) -> None:
    """Print this as it is."""
    _texts[title] = text


def note(title: str, columns: Sequence[str], row: Sequence[object]) -> None:
    """Add a row to the table of this title."""
    _tables.setdefault(title, [columns]).append(row)


def printed() -> Iterator[str]:
    """Every table, its columns under each other: the first to the left, the others to the right."""
    for title, rows in _tables.items():
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
        yield ""
        yield title
        for row in cells:
            rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            yield "  ".join([row[0].ljust(widths[0]), *rest])
    for title, text in _texts.items():
        yield from ("", title, *text.rstrip().splitlines())
