"""How much of what was said goes with the next turn, and when what doesn't fit any more is to be summarised."""

from collections.abc import Sequence
from dataclasses import dataclass

# A turn has words around it that tokens of its texts don't count.
_TURN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class SaidTurn:
    """An answered turn: its number, and how many tokens its texts take."""

    number: int
    tokens: int


def history_room(window_tokens: int) -> int:
    """What the turns since the last summary may take before they are summarised: half the window."""
    return window_tokens // 2


def due_summary(turns: Sequence[SaidTurn], *, window_tokens: int) -> int | None:
    """The number of the last turn that a new summary should tell of; None while all `turns` (since the last one, oldest first) fit.

    What is left takes a quarter of the window at most, so that a summary is due once in many turns; the newest turn always stays.
    """
    taken = [turn.tokens + _TURN_TOKENS for turn in turns]
    if sum(taken) <= history_room(window_tokens):
        return None
    kept, upto = 0, turns[-1].number - 1
    for turn, tokens in zip(reversed(turns), reversed(taken), strict=True):
        kept += tokens
        if kept > window_tokens // 4:
            upto = min(upto, turn.number)
            break
    return upto if upto >= turns[0].number else None
