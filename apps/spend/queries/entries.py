"""The ledgers as entries of one shape: each dimension, and what one row adds to each sum. Roll-ups and questions read the same."""

from dataclasses import dataclass
from uuid import UUID

from apps.spend.domain.spending import SUMS, Width

_DIMENSIONS = (
    "workspace_id", "api_key_id", "feature", "lane", "model_id", "provider_id", "upstream_model", "job_id", "end_user", "prompt_version",
)  # fmt: skip
FEW = _DIMENSIONS[:7]


@dataclass(frozen=True, slots=True)
class Source:
    """A ledger: its table, and the sums that its rows add to; to all others they add nothing."""

    name: str
    table: str
    adds: dict[str, str]

    def entries(self, where: str) -> str:
        """A SELECT of the rows that meet a condition; columns in the order of dimensions and sums."""
        sums = ", ".join(f"{self.adds.get(name, _zero(name))} AS {name}" for name in SUMS)
        return f"SELECT id, created_at, {', '.join(_DIMENSIONS)}, {sums} FROM {self.table} WHERE {where}"  # noqa: S608 -- our own names


def _zero(name: str) -> str:
    return "0::numeric" if name.endswith("_usd") else "0::int8"


SOURCES = (
    Source(
        "charge",
        "spend_charge",
        {
            "calls": "1::int8",
            "items": "(seq = 0)::int::int8",
            "input_tokens": "input_tokens + cached_input_tokens + cache_write_tokens",
            "cached_input_tokens": "cached_input_tokens",
            "output_tokens": "output_tokens + reasoning_tokens",
            "reasoning_tokens": "reasoning_tokens",
            "cost_usd": "cost_usd",
            "retries": "(seq > 0)::int::int8",
            "retry_usd": "CASE WHEN seq > 0 THEN cost_usd ELSE 0 END",
        },
    ),
    Source("waste", "spend_waste", {"wasted": "1::int8", "waste_usd": "amount_usd"}),
    Source("saving", "spend_saving", {"cache_saved_usd": "by_cache_usd", "cascade_saved_usd": "by_first_usd"}),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of roll-ups: how long its rows last, and what it tells apart."""

    name: str
    width: Width
    dimensions: tuple[str, ...]

    @property
    def begins_at(self) -> str:
        """When the row begins that an entry is added to, as SQL."""
        if self.width is Width.QUARTER:
            return "date_bin('15 minutes', created_at, '2000-01-01 00:00+00')"
        return f"date_trunc('{self.width}', created_at, 'UTC')"


DAYS = Table("spend_dayrollup", Width.DAY, (*FEW, "prompt_version"))
ROLLUPS = Table("spend_rollup", Width.HOUR, FEW)
QUARTERS = Table("spend_quarterrollup", Width.QUARTER, (*FEW, "prompt_version"))
JOB_ROLLUPS = Table("spend_jobrollup", Width.QUARTER, (*FEW, "job_id", "prompt_version"))
USER_MONTHS = Table("spend_usermonthrollup", Width.MONTH, ("workspace_id", "end_user"))
USER_DAYS = Table("spend_userdayrollup", Width.DAY, ("workspace_id", "end_user"))
USER_ROLLUPS = Table("spend_userrollup", Width.DAY, (*FEW, "end_user", "prompt_version"))
TABLES = (ROLLUPS, DAYS, QUARTERS, USER_DAYS, USER_MONTHS, JOB_ROLLUPS, USER_ROLLUPS)
# Of each the widest rows first. The narrowest first: a question is answered from the first that tells apart what it does.
LADDERS = ((DAYS, ROLLUPS, QUARTERS), (DAYS, QUARTERS), (USER_MONTHS, USER_DAYS), (JOB_ROLLUPS,), (USER_ROLLUPS,))
JOB_COSTS = "spend_jobcost"

# Another number whenever a release sums up more: what one that doesn't know of it adds meanwhile is then made anew.
_EDITION = 3
SEAL = f"'{_EDITION}:' || {{before}} || ':' || coalesce({{history_after}}::text, '')"


def seal_of(before: int, history_after: UUID | None) -> str:
    """What a mark carries that this release has moved there."""
    return f"{_EDITION}:{before}:{history_after or ''}"
