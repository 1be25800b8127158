"""Cut a document's text into pieces that fit a number of tokens, along its structure."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from apps.knowledge.domain.anchors import join_anchors, row_anchor
from apps.knowledge.domain.sections import BETWEEN_SECTIONS, Section, join_text

Count = Callable[[str], int]
# After the marks that end a sentence and what closes with it; Chinese and Japanese write no blank there.
_BETWEEN_SENTENCES = re.compile("(?<=[.!?\u2026])[\"')\\]\u2019\u201d\u00bb]*\\s+|\\n\\s*\\n|(?<=[\u3002\uff01\uff1f])")
_BETWEEN_LINES = re.compile(r"\n+")
_OVERLAPPING = {"text", "list"}
_MOST_HEADING_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is the document's plain text from `start` to `end`; the header of a table that was cut stands before it once more.

    `heading` is the path of headings that the piece stands under.
    """

    position: int
    text: str
    anchor: str
    heading: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is cut, and by which measure."""

    text: str
    max_tokens: int
    overlap_tokens: int
    count: Count


@dataclass(frozen=True, slots=True)
class _Atom:
    """What is not cut any further, unless it is too long by itself: a sentence, a row, a line, a heading."""

    start: int
    end: int
    tokens: int
    kind: str
    anchor: str
    header: str = ""  # of the table whose row this is
    section: int = 0
    heading: str = ""
    whole: int = 0  # tokens of its section, when it is the first of it


def cut_chunks(sections: Sequence[Section], *, max_tokens: int, overlap_tokens: int, count: Count) -> list[Piece]:
    """Pieces in order. The same sections give the same pieces.

    A heading stays with what follows it and begins a piece, unless what is before it is short; tables are cut between rows, texts
    between sentences. Only where a text or list had to be cut, its last `overlap_tokens` begin the next piece as well.
    """
    if not 0 <= overlap_tokens < max_tokens:
        raise ValueError("Pieces must be longer than what two of them share.")
    plan = _Plan(join_text(sections), max_tokens, overlap_tokens, count)
    packed = _pack(deque(_atoms(sections, plan)), plan)
    return [_piece(position, atoms, plan.text) for position, atoms in enumerate(packed)]


def _atoms(sections: Sequence[Section], plan: _Plan) -> Iterator[_Atom]:
    path: list[tuple[int, str]] = []
    start = 0
    for number, section in enumerate(sections):
        end = start + len(section.text)
        if section.kind == "heading":
            path = [(level, title) for level, title in path if level < section.level]
            path.append((section.level, " ".join(section.text.split())[:_MOST_HEADING_CHARACTERS]))
        heading = " > ".join(title for _, title in path)
        found = [replace(atom, section=number, heading=heading) for atom in _of_section(section, start, plan)]
        for place, atom in enumerate(found):
            yield replace(atom, whole=sum(each.tokens for each in found)) if place == 0 else atom
        start = end + len(BETWEEN_SECTIONS)


def _of_section(section: Section, start: int, plan: _Plan) -> Iterator[_Atom]:
    header, budget = "", plan.max_tokens
    if section.kind == "table":
        header = section.text.partition("\n")[0]
        needed = plan.count(header + "\n")
        # A header that takes half of each piece is no help to its reader.
        header, budget = (header, plan.max_tokens - needed) if needed * 2 <= plan.max_tokens else ("", plan.max_tokens)
    lines = section.text.count("\n") + 1
    for line, (first, last) in enumerate(_spans(section)):
        anchor = row_anchor(section.anchor, line, lines) if section.kind == "table" else section.anchor
        for begin, end in _fitting(plan, start + first, start + last, budget):
            # With the blank before it: that is what it adds to a piece.
            tokens = plan.count(plan.text[max(begin - 1, 0) : end])
            yield _Atom(begin, end, tokens, section.kind, anchor, header if begin > start else "")


def _spans(section: Section) -> Iterator[tuple[int, int]]:
    if section.kind == "heading":
        yield 0, len(section.text)
        return
    between = _BETWEEN_SENTENCES if section.kind == "text" else _BETWEEN_LINES
    begin = 0
    for end in [*(found.end() for found in between.finditer(section.text)), len(section.text)]:
        piece = section.text[begin:end]
        if piece.strip():
            yield begin + len(piece) - len(piece.lstrip()), begin + len(piece.rstrip())
        begin = end


def _fitting(plan: _Plan, start: int, end: int, budget: int) -> Iterator[tuple[int, int]]:
    """The span itself, or its halves, cut at a blank near the middle, until each fits."""
    waiting = [(start, end)]
    while waiting:
        begin, stop = waiting.pop()
        if stop - begin <= 1 or plan.count(plan.text[begin:stop]) <= budget:
            if begin < stop:
                yield begin, stop
            continue
        middle = (begin + stop) // 2
        blank = max(plan.text.rfind(" ", begin + 1, middle), plan.text.rfind("\n", begin + 1, middle))
        cut = blank + 1 if blank > begin + (middle - begin) // 2 else middle
        waiting += [(cut, stop), (begin, cut)]


def _pack(waiting: deque[_Atom], plan: _Plan) -> Iterator[list[_Atom]]:
    current: list[_Atom] = []
    shared = held = 0
    while waiting:
        atom = waiting.popleft()
        if len(current) > shared and _ends_before(current, held, atom, plan.max_tokens):
            waiting.appendleft(atom)
            done = _closed(current, shared, waiting, plan)
            yield done
            current = _tail(done, waiting[0], min(plan.overlap_tokens, plan.max_tokens - waiting[0].tokens))
            shared, held = len(current), _weight(current, plan.count)
            continue
        held += atom.tokens if current else _weight([atom], plan.count)
        current.append(atom)
        if not waiting:
            done = _closed(current, shared, waiting, plan)
            yield done
            current, shared, held = [], 0, 0


def _weight(atoms: Sequence[_Atom], count: Count) -> int:
    header = count(atoms[0].header + "\n") if atoms and atoms[0].header else 0
    return header + sum(atom.tokens for atom in atoms)


def _ends_before(current: Sequence[_Atom], held: int, atom: _Atom, max_tokens: int) -> bool:
    if held + atom.tokens > max_tokens:
        return True
    if not atom.whole:
        return False
    if atom.kind == "heading":
        return held * 4 >= max_tokens and any(each.kind != "heading" for each in current)
    # A section that fits into one piece is not cut for the sake of a few words before it.
    return held * 2 >= max_tokens and held + atom.whole > max_tokens >= atom.whole and current[-1].kind != "heading"


def _closed(current: list[_Atom], shared: int, waiting: deque[_Atom], plan: _Plan) -> list[_Atom]:
    """The piece; what it can't hold after all, and headings that nothing follows, go back to those that wait."""
    while len(current) > 1 and plan.count(_text(current, plan.text)) > plan.max_tokens:
        if len(current) - shared > 1:
            waiting.appendleft(current.pop())
        else:
            current, shared = current[1:], shared - 1
    body = next((place for place in range(len(current) - 1, -1, -1) if current[place].kind != "heading"), None)
    if waiting and body is not None and body >= shared:
        waiting.extendleft(reversed(current[body + 1 :]))
        current = current[: body + 1]
    return current


def _tail(done: Sequence[_Atom], following: _Atom, most_tokens: int) -> list[_Atom]:
    """The last atoms of a piece that the next one repeats: of the same section, if it was cut there."""
    tail: list[_Atom] = []
    for atom in reversed(done[1:]):
        most_tokens -= atom.tokens
        if atom.section != following.section or atom.kind not in _OVERLAPPING or most_tokens < 0:
            break
        tail.insert(0, atom)
    return tail


def _text(atoms: Sequence[_Atom], text: str) -> str:
    header = f"{atoms[0].header}\n" if atoms[0].header else ""
    return header + text[atoms[0].start : atoms[-1].end]


def _piece(position: int, atoms: Sequence[_Atom], text: str) -> Piece:
    first = next((atom for atom in atoms if atom.kind != "heading"), atoms[-1])
    return Piece(
        position=position,
        text=_text(atoms, text),
        anchor=join_anchors(first.anchor, atoms[-1].anchor),
        heading=first.heading,
        start=atoms[0].start,
        end=atoms[-1].end,
    )
