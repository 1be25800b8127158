"""The table of the spend page as CSV, with exact amounts."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter
from uuid import UUID

from apps.jobs.domain.export_table import plain_cell
from apps.ops.domain.spend_names import Names
from apps.ops.domain.spend_view import View
from apps.ops.queries.spend_page import Reader
from apps.spend.domain.spending import Slice

_NUMBERS = ("calls", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "retries")
_AMOUNTS = ("cost_usd", "retry_usd", "cache_saved_usd", "cascade_saved_usd")


def spend_table(parts: Iterable[Slice], names: Names, *, reader: Reader, view: View) -> str:
    """With a byte order mark: without it spreadsheets take UTF-8 for something else."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    # Waste is the operator's.
    amounts = (*_AMOUNTS, *(("waste_usd",) if reader.is_superuser else ()))
    has_id = view.by not in {"day", "feature", "end_user", "lane", "upstream_model", "prompt_version"}
    writer.writerow([view.by, *(["id"] if has_id else []), *_NUMBERS, *amounts])
    # Ten thousand rows of them: one look for all of a row.
    numbers_of, amounts_of = attrgetter(*_NUMBERS), attrgetter(*amounts)
    for part in parts:
        label = plain_cell(names.of(view.by, part.value))
        writer.writerow([label, *([_id(part.value)] if has_id else []), *numbers_of(part.sums), *map(_amount, amounts_of(part.sums))])
    return text.getvalue()


def _id(value: UUID | str | None) -> str:
    return "" if value is None else str(value)


def _amount(value: Decimal) -> str:
    """Exact; most of them are nothing."""
    return f"{value.normalize():f}" if value else "0"
