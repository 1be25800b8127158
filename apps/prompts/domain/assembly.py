"""Put together what a model is told: instructions, passages, memory, what was said before, and what is asked now, within its window.

    told = assemble(Sections(input="When is money paid back?", system="You are a clerk.", passages=[Part(text, label="rules.pdf, page 3")]),
                    window_tokens=8_192, reserve_tokens=1_000)
    told.messages   # [{"role": "system", ...}, turns of the history, {"role": "user", ...}]
    told.report     # what each section took, what was cut and why; as_json() for the record

One system message (system, instructions), the history turn by turn, one last message of the user (passages, memory, input). What comes
anew with each question stands last, so that providers know the beginning again. Passages are numbered by their rank from 1 on, so an
answer cites `[2]`; the numbers stay when others are cut. Only data stands between tags, and none of it can open or close one of them,
or begin a control token.

How it is made to fit: system, instructions and input are never cut; WindowTooSmallError when they alone don't fit. Each other section
is first cut to its own maximum. While all is too long, the section of the lowest priority gives, then the next: history its oldest turns,
passages those ranked last, memory its last parts; none below its minimum as long as another is above its own. Then they give what is
below it, in the same order. What is left of a history that was cut begins with a turn of the user.

The same arguments always make the same messages. Tokens are counted where the caller hands in none, and summed part by part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from apps.lib.tokenizer import MESSAGE_TOKENS, count_tokens
from apps.prompts.domain.markup import Guard, closing, guard, opening, tag_names

# For a model of which nothing else is known.
USUAL_WINDOW_TOKENS = 8_192
# None of them is a tag of HTML, which people ask about.
PASSAGE = "passage"
_TAGS = frozenset({"passages", PASSAGE, "memory", "message"})
_ANSWERS = "assistant"
_TAGS_OF = {"passages": "<passages>\n\n</passages>\n\n", "memory": "<memory>\n\n</memory>\n\n", "input": "<message>\n\n</message>"}
_TEXTS_KEPT = 256


class SectionName(StrEnum):
    """What a model is told, in the order of the report."""

    SYSTEM = "system"
    INSTRUCTIONS = "instructions"
    PASSAGES = "passages"
    MEMORY = "memory"
    HISTORY = "history"
    INPUT = "input"


class Why(StrEnum):
    """Why a part was cut: its section's maximum, the window, or because the question to this answer was cut."""

    MAXIMUM = "maximum"
    WINDOW = "window"
    QUESTION_CUT = "question_cut"


@dataclass(frozen=True, slots=True)
class Rule:
    """The lowest `priority` gives first. Tokens: at least `minimum_tokens` while others can give, never more than `maximum_tokens`."""

    priority: int
    minimum_tokens: int = 0
    maximum_tokens: int | None = None


RULES: Mapping[SectionName, Rule] = {
    SectionName.HISTORY: Rule(priority=1),
    SectionName.PASSAGES: Rule(priority=2),
    SectionName.MEMORY: Rule(priority=3),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A passage or a thing remembered. `tokens`: of the text as it stands, where the caller keeps them.

    `label`: where a passage is from.
    """

    text: str
    tokens: int | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What `role` ("user", "assistant") said before. `tokens`: of the text as it stands, where the caller keeps them."""

    role: str
    text: str
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.role not in ("user", _ANSWERS):
            msg = f"A turn of {self.role!r} can't stand in a history."
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """What there is to tell. `passages` and `memory`: the best first; `history`: the oldest first. Empty texts are left out.

    `system` and `instructions` are ours to write and stand as they are; everything else is data. `rules` replace those of RULES.
    """

    input: str
    system: str = ""
    instructions: str = ""
    passages: Sequence[Part] = ()
    memory: Sequence[Part] = ()
    history: Sequence[Turn] = ()
    rules: Mapping[SectionName, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """A part that was left out: its place in its section as handed in, from 0 on."""

    place: int
    tokens: int
    why: Why


@dataclass(frozen=True, slots=True)
class Took:
    """What a section took: `kept` of `given` parts."""

    section: SectionName
    tokens: int
    given: int
    kept: int
    cut: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`tokens` of all sections together are at most `window_tokens` less `reserve_tokens`, which are the answer's."""

    window_tokens: int
    reserve_tokens: int
    sections: tuple[Took, ...]

    @property
    def tokens(self) -> int:
        return sum(took.tokens for took in self.sections)

    def of(self, section: SectionName) -> Took:
        return next(took for took in self.sections if took.section is section)

    def as_json(self) -> dict[str, Any]:
        return {
            "window_tokens": self.window_tokens,
            "reserve_tokens": self.reserve_tokens,
            "tokens": self.tokens,
            "sections": {
                took.section.value: {
                    "tokens": took.tokens,
                    "given": took.given,
                    "kept": took.kept,
                    "cut": [{"place": cut.place, "tokens": cut.tokens, "why": cut.why.value} for cut in took.cut],
                }
                for took in self.sections
            },
        }


@dataclass(frozen=True, slots=True)
class Assembled:
    """The messages of a chat request, and what became of each section."""

    messages: list[dict[str, str]]
    report: Report


class WindowTooSmallError(Exception):
    """What is never cut takes `tokens`, and there is room for `room`."""

    def __init__(self, *, tokens: int, room: int) -> None:
        super().__init__(f"System, instructions and input are never cut: they take {tokens:,} tokens, and {max(room, 0):,} are left.")
        self.tokens, self.room = tokens, room


@dataclass(slots=True)
class _Piece:
    """A part as it will stand, with its place as handed in."""

    text: str
    tokens: int
    place: int
    role: str = ""


@dataclass(slots=True)
class _Yielding:
    """A section that can be cut: `order` has what is given first at its end. `around`: what its tags take while anything is left."""

    name: SectionName
    rule: Rule
    order: list[_Piece]
    around: int
    cut: list[Cut] = field(default_factory=list)
    tokens: int = 0

    def __post_init__(self) -> None:
        self.tokens = sum(piece.tokens for piece in self.order) + (self.around if self.order else 0)

    def give(self, why: Why) -> int:
        """Leave out the part that is given first; how many tokens that frees."""
        before, piece = self.tokens, self.order.pop()
        self.tokens -= piece.tokens + (0 if self.order else self.around)
        self.cut.append(Cut(piece.place, piece.tokens, why))
        return before - self.tokens

    def left(self) -> int:
        """Tokens after the next part were given."""
        return self.tokens - self.order[-1].tokens - (0 if len(self.order) > 1 else self.around)

    def took(self) -> Took:
        return Took(self.name, self.tokens, len(self.order) + len(self.cut), len(self.order), tuple(self.cut))


def assemble(
    sections: Sections,
    window_tokens: int = USUAL_WINDOW_TOKENS,
    reserve_tokens: int = 0,
    *,
    count: Callable[[str], int] = count_tokens,
) -> Assembled:
    """As this module says. `window_tokens`: the model's; `reserve_tokens`: of it, what is kept for the answer.

    WindowTooSmallError when not even system, instructions and input fit.
    """
    guarding = _guard(sections.system, sections.instructions)
    room = window_tokens - reserve_tokens
    rules = {**RULES, **sections.rules}
    orders = {
        SectionName.PASSAGES: [_passage(place, part, guarding, count) for place, part in enumerate(sections.passages) if part.text],
        SectionName.MEMORY: [_memory(place, part, guarding, count) for place, part in enumerate(sections.memory) if part.text],
        SectionName.HISTORY: [_turn(place, turn, guarding, count) for place, turn in enumerate(sections.history) if turn.text][::-1],
    }
    yielding = {name: _Yielding(name, rules[name], order, _around(name, count)) for name, order in orders.items()}
    asked = guarding.escape(sections.input)
    tagged = _around(SectionName.INPUT, count) if orders[SectionName.PASSAGES] or orders[SectionName.MEMORY] else 0
    fixed = {
        SectionName.SYSTEM: _fixed(sections.system, count),
        SectionName.INSTRUCTIONS: _fixed(sections.instructions, count),
        SectionName.INPUT: count(asked) + MESSAGE_TOKENS + tagged,
    }
    if sum(fixed.values()) > room:
        raise WindowTooSmallError(tokens=sum(fixed.values()), room=room)
    _fit(sorted(yielding.values(), key=lambda section: section.rule.priority), room - sum(fixed.values()))
    given = {SectionName.SYSTEM: sections.system, SectionName.INSTRUCTIONS: sections.instructions, SectionName.INPUT: "x"}
    report = tuple(
        yielding[name].took() if name in yielding else Took(name, fixed[name], int(bool(given[name])), int(bool(given[name])))
        for name in SectionName
    )
    return Assembled(_messages(sections, yielding, asked), Report(window_tokens, reserve_tokens, report))


def _fit(sections: list[_Yielding], room: int) -> None:
    """Cut sections, in the order in which they give."""
    for section in sections:
        while section.rule.maximum_tokens is not None and section.order and section.tokens > section.rule.maximum_tokens:
            section.give(Why.MAXIMUM)
    over = sum(section.tokens for section in sections) - room
    for is_last_resort in (False, True):
        for section in sections:
            while over > 0 and section.order and (is_last_resort or section.left() >= section.rule.minimum_tokens):
                over -= section.give(Why.WINDOW)
    for section in sections:
        while section.name is SectionName.HISTORY and section.cut and section.order and section.order[-1].role == _ANSWERS:
            section.give(Why.QUESTION_CUT)


def _messages(sections: Sections, yielding: Mapping[SectionName, _Yielding], asked: str) -> list[dict[str, str]]:
    told = "\n\n".join(text for text in (sections.system, sections.instructions) if text)
    data = [
        _between(name, [piece.text for piece in yielding[name].order])
        for name in (SectionName.PASSAGES, SectionName.MEMORY)
        if yielding[name].order
    ]
    asks = "\n\n".join([*data, f"<message>\n{asked}\n</message>"]) if data else asked
    return [
        *([{"role": "system", "content": told}] if told else []),
        *({"role": piece.role, "content": piece.text} for piece in reversed(yielding[SectionName.HISTORY].order)),
        {"role": "user", "content": asks},
    ]


def _between(name: SectionName, texts: Sequence[str]) -> str:
    return "\n".join([f"<{name}>", *texts, f"</{name}>"])


def passage_attributes(number: int, label: str) -> dict[str, str]:
    """Of the tag before a passage: by its number answers cite it, `label` says where it is from."""
    return {"id": str(number), "source": label}


@lru_cache(maxsize=_TEXTS_KEPT)
def _guard(system: str, instructions: str) -> Guard:
    """What data may not write: our tags, and those that the texts before it speak of."""
    return guard(_TAGS | tag_names(system) | tag_names(instructions))


@lru_cache(maxsize=8)
def _around(name: SectionName, count: Callable[[str], int]) -> int:
    """What the tags of a section take."""
    return count(_TAGS_OF[name]) if name in _TAGS_OF else 0


def _fixed(text: str, count: Callable[[str], int]) -> int:
    return count(text) + MESSAGE_TOKENS if text else 0


def _counted(text: str, data: str, tokens: int | None, count: Callable[[str], int]) -> int:
    """The caller's own count, and a token for each character that escaping put in: it makes no more of them."""
    return count(text) if tokens is None else tokens + len(text) - len(data)


def _passage(place: int, part: Part, guarding: Guard, count: Callable[[str], int]) -> _Piece:
    text = guarding.escape(part.text)
    head, tail = f"{opening(PASSAGE, passage_attributes(place + 1, part.label))}\n", f"\n{closing(PASSAGE)}\n"
    return _Piece(head + text + tail[:-1], _counted(text, part.text, part.tokens, count) + count(head + tail), place)


def _memory(place: int, part: Part, guarding: Guard, count: Callable[[str], int]) -> _Piece:
    line = " ".join(part.text.split())
    text = guarding.escape(line)
    return _Piece(f"- {text}", _counted(text, line, part.tokens if line == part.text else None, count) + count("- \n"), place)


def _turn(place: int, turn: Turn, guarding: Guard, count: Callable[[str], int]) -> _Piece:
    text = guarding.escape(turn.text)
    return _Piece(text, _counted(text, turn.text, turn.tokens, count) + MESSAGE_TOKENS, place, turn.role)
