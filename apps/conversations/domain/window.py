"""How much of what was said goes with the next turn, and when what doesn't fit any more is to be summarised."""

from collections.abc import Sequence
from dataclasses import dataclass

# A turn has words around it that tokens of its texts don't count.
_TURN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class SaidTurn:
    """An answered turn: its number, how many tokens its texts take, and whether a person spoke: else it brought results of tools."""

    number: int
    tokens: int
    is_spoken: bool = True


def history_room(window_tokens: int) -> int:
    """What the turns since the last summary may take before they are summarised: half the window."""
    return window_tokens // 2


def due_summary(turns: Sequence[SaidTurn], *, window_tokens: int, most_turns: int) -> int | None:
    """The number of the last turn that a new summary should tell of; None while all `turns` (since the last one, oldest first) fit.

    What is left takes a quarter of the window at most, and half of `most_turns`, which are told at once; so one is due once in many turns.
    The last words of the user always stay, with whatever tools brought for them.
    """
    taken = [turn.tokens + _TURN_TOKENS for turn in turns]
    if sum(taken) <= history_room(window_tokens) and len(turns) < most_turns:
        return None
    spoken = [turn.number for turn in turns if turn.is_spoken]
    kept, upto = 0, (spoken[-1] if spoken else turns[0].number) - 1
    for number, (turn, tokens) in enumerate(zip(reversed(turns), reversed(taken), strict=True), start=1):
        kept += tokens
        if kept > window_tokens // 4 or number > most_turns // 2:
            upto = min(upto, turn.number)
            break
    return upto if upto >= turns[0].number else None
