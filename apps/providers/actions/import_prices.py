"""Take prices over from the public list: new dated rows for targets whose price is new or another. No row is ever changed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.providers.actions.compare_prices import compare_with_list
from apps.providers.domain.listed_prices import list_names, source
from apps.providers.domain.price_changes import PriceChange, Verdict, told_fields
from apps.providers.models import Provider
from apps.spend.actions import PriceTakenError, set_price


def import_prices(
    *, chosen: Collection[str] | None, matches: Mapping[str, str], now: datetime, is_replacing_own: bool = False, reason: str = ""
) -> Sequence[PriceChange]:
    """What was written. `chosen`: the keys of the changes that somebody confirmed.

    None: all that are new or changed, and of prices that people set only with `is_replacing_own`.
    """
    with transaction.atomic():
        written = [
            change
            for change in compare_with_list(matches=matches, now=now)
            if change.is_change and _is_wanted(change, chosen, is_replacing_own=is_replacing_own) and _write(change, now)
        ]
        if written:
            told = [f"{change.target.upstream_model} at {change.target.provider}: {told_fields(change)}" for change in written]
            record_audit(verb="imported", object_type="price list", object_label=source(), after={"prices": told}, reason=reason)
    return written


def read_matches(texts: Sequence[str]) -> dict[str, str]:
    """`ours=the list's` for each; ValueError tells what can't be matched."""
    matches = dict[str, str]()
    for text in texts:
        ours, is_pair, listed = text.partition("=")
        if not (is_pair and ours):
            raise ValueError(f"{text!r}: write the provider's name, =, and the list's name for it.")
        if listed not in list_names():
            raise ValueError(f"{text!r}: the list has no provider {listed!r}; it has {', '.join(list_names())}.")
        if not Provider.objects.filter(name=ours).exists():
            raise ValueError(f"{text!r}: there is no provider {ours!r}.")
        matches[ours] = listed
    return matches


def _is_wanted(change: PriceChange, chosen: Collection[str] | None, *, is_replacing_own: bool) -> bool:
    if chosen is not None:
        return change.key in chosen
    return is_replacing_own or change.verdict is not Verdict.OWN


def _write(change: PriceChange, now: datetime) -> bool:
    try:
        return set_price(
            provider_id=change.target.provider_id,
            upstream_model=change.target.upstream_model,
            prices=change.prices or {},
            starts_at=change.starts_at,
            now=now,
            source=source(),
        )
    except PriceTakenError:
        return False  # somebody else's begins at that very moment, and stands
