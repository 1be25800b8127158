"""What a provider counts, beside what was charged for it and what was answered and lost on the way. Equal when nothing is left over."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from apps.spend.domain.usage_export import UsedOnDay

MEASURES = ("requests", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd")
_Key = tuple[date, str]
_Amounts = dict[str, int | Decimal]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a day and model; None: it isn't told."""

    requests: int | None = 0
    input_tokens: int | None = 0
    cached_input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost_usd: Decimal | None = Decimal(0)


@dataclass(frozen=True, slots=True)
class Compared:
    """A model on a day."""

    day: date
    model: str
    theirs: Side
    ours: Side
    wasted: Side = Side()

    def surplus(self) -> _Amounts:
        """What the provider counts beyond both, of whatever it tells."""
        found = {name: _beyond(getattr(self.theirs, name), getattr(self.ours, name), getattr(self.wasted, name)) for name in MEASURES}
        return {name: number for name, number in found.items() if number is not None}

    @property
    def is_equal(self) -> bool:
        return not any(self.surplus().values())


def _beyond(theirs: int | Decimal | None, ours: int | Decimal, wasted: int | Decimal | None) -> int | Decimal | None:
    return None if theirs is None else theirs - ours - (wasted or 0)


@dataclass(frozen=True, slots=True)
class WasteOfDay:
    """Calls that brought nothing, for one reason, and the most that they cost. Of a lost worker's calls nobody knows who was asked."""

    day: date
    model: str
    reason: str
    calls: int
    most_usd: Decimal


def compare(used: Iterable[UsedOnDay], ours: Mapping[_Key, Side], waste: Iterable[WasteOfDay]) -> list[Compared]:
    """Every day and model that either side knows. What was written off explains a surplus of no more calls and dollars than these."""
    theirs = {(one.day, one.model): Side(*(getattr(one, name) for name in MEASURES)) for one in used}
    left = _Left(waste)
    rows = (Compared(*key, theirs.get(key, Side()), ours.get(key, Side())) for key in sorted(theirs.keys() | ours.keys()))
    return [left.explain(row) for row in rows]


class _Left:
    """What was written off and explains no surplus yet."""

    def __init__(self, waste: Iterable[WasteOfDay]) -> None:
        self.calls: dict[_Key, int] = defaultdict(int)
        self.usd: dict[_Key, Decimal] = defaultdict(Decimal)
        for one in waste:
            self.calls[one.day, one.model] += one.calls
            self.usd[one.day, one.model] += one.most_usd

    def explain(self, row: Compared) -> Compared:
        surplus, pools = row.surplus(), [(row.day, row.model), (row.day, "")]
        calls, usd = surplus.get("requests", 0), Decimal(surplus.get("cost_usd", 0))
        is_within = calls <= sum(self.calls[pool] for pool in pools) and usd <= sum(self.usd[pool] for pool in pools)
        if not calls or not is_within or any(number < 0 for number in surplus.values()):
            return row
        for pool in pools:
            taken, taken_usd = min(int(calls), self.calls[pool]), min(usd, self.usd[pool])
            self.calls[pool] -= taken
            self.usd[pool] -= taken_usd
            calls, usd = calls - taken, usd - taken_usd
        return replace(row, wasted=Side(**surplus))  # type: ignore[arg-type]  # by the same names


@dataclass(frozen=True, slots=True)
class Delivered:
    """A whole answer, by the provider's own count."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Charged:
    """One call that was charged."""

    day: date
    model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Matched:
    """What came of holding each answer against the charges of its run."""

    rows: list[Compared]
    lost: dict[str, int]
    unexplained: list[str]


@dataclass(frozen=True, slots=True)
class Lost:
    """Why answers to a run were not charged, and of how many that is true; None: of all."""

    reason: str
    most: int | None = None


def match_calls(
    delivered: Mapping[str, Sequence[Delivered]],
    charged: Mapping[str, Sequence[Charged]],
    lost: Mapping[str, Lost],
    others: Iterable[UsedOnDay] = (),
) -> Matched:
    """Each by the run that asked. A charge belongs to an answer of its run, and counts on that day; what is left was lost, or differs.

    `others`: answers that name no run.
    """
    sums = _Table()
    reasons: dict[str, int] = defaultdict(int)
    unexplained = []
    for run in sorted(delivered.keys() | charged.keys()):
        left = list(delivered.get(run, ()))
        for one in left:
            sums.add("theirs", one.day, one)
        missing = 0
        for call, answer in _pair(charged.get(run, ()), left):
            sums.add("ours", answer.day if answer else call.day, call)
            missing += answer is None
        why = lost.get(run)
        known = left[: why.most] if why else []
        for one in known:
            sums.add("wasted", one.day, one)
            reasons[why.reason if why else ""] += 1
        unexplained += [f"{run}: charged, and not delivered"] * missing
        unexplained += [f"{run}: delivered, and neither charged nor given up"] * (len(left) - len(known))
    for other in others:
        sums.add("theirs", other.day, other, number=other.requests or 0)
        unexplained.append(f"{other.requests} of {other.model} on {other.day}: delivered to nobody who is known by an id")
    return Matched(sums.rows(), dict(reasons), unexplained)


def _pair(charged: Sequence[Charged], left: list[Delivered]) -> list[tuple[Charged, Delivered | None]]:
    """Each charge with an answer of its run, which is taken from `left`: first those that agree in every token."""
    found, rest = list[tuple[Charged, Delivered | None]](), []
    for call in charged:
        told = (call.model, call.input_tokens, call.output_tokens)
        answer = next((one for one in left if (one.model, one.input_tokens, one.output_tokens) == told), None)
        if answer is None:
            rest.append(call)
        else:
            left.remove(answer)
            found.append((call, answer))
    for call in rest:
        answer = next((one for one in left if one.model == call.model), None)
        if answer is not None:
            left.remove(answer)
        found.append((call, answer))
    return found


class _Table:
    """The sides of each day and model, added up. A witness tells neither caches nor costs."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[_Key, _Amounts]] = {name: {} for name in ("theirs", "ours", "wasted")}

    def add(self, side: str, day: date, call: Delivered | Charged | UsedOnDay, *, number: int = 1) -> None:
        sums = self.sums[side].setdefault((day, call.model), dict.fromkeys(MEASURES, 0))
        sums["requests"] += number
        for name in MEASURES[1:]:
            sums[name] += getattr(call, name, 0) or 0

    def rows(self) -> list[Compared]:
        keys = sorted({key for sums in self.sums.values() for key in sums})
        return [Compared(*key, self._witnessed(key), self._side("ours", key), self._side("wasted", key)) for key in keys]

    def _witnessed(self, key: _Key) -> Side:
        return replace(self._side("theirs", key), cached_input_tokens=None, cost_usd=None)

    def _side(self, name: str, key: _Key) -> Side:
        sums = self.sums[name].get(key)
        return Side(**sums) if sums else Side()  # type: ignore[arg-type]  # by the same names
