"""Watch: raise alerts for what needs a person, and resolve those that are over. Every half minute, by beat."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import structlog

from apps.jobs.domain.fingerprint import POISON_FINGERPRINT
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.ops.actions.watch_runaways import SPEND_RUNAWAY, watch_runaways
from apps.ops.domain.conditions import QUIET, NotKnownNowError
from apps.ops.queries import access_conditions, budget_conditions, dead_conditions, platform_conditions, webhook_conditions
from apps.ops.queries.consistency_conditions import CONVERSATION_INCONSISTENT, find_inconsistencies
from apps.webhooks.actions import keep_alerts
from apps.webhooks.domain.alerts import Alarm

log = structlog.get_logger(__name__)


def watch_conditions(*, now: datetime) -> dict[str, int]:
    """How many alerts hold, by kind.

    What can't be looked at (a store is away, sums are made anew) is left as it is, and holds up nothing else.
    """
    held = {}
    for kind, find in _sources(now).items():
        try:
            found = list(find())
        except NotKnownNowError as error:
            log.info("condition_not_known_now", kind=kind, why=str(error))
            continue
        except INFRASTRUCTURE_ERRORS as error:
            log.warning("condition_not_watched", kind=kind, error=str(error))
            continue
        except Exception:
            # A defect, or garbage in a store: one that can't be looked at must not hide the others.
            log.exception("condition_broken", kind=kind)
            continue
        held[kind] = keep_alerts(kind=kind, found=found, now=now, quiet=QUIET)
    return held


def _sources(now: datetime) -> dict[str, Callable[[], Iterator[Alarm]]]:
    return {
        dead_conditions.DEAD_SHARE: partial(dead_conditions.find_dead_share, now=now),
        dead_conditions.DEAD_BURST: partial(dead_conditions.find_dead_burst, now=now),
        dead_conditions.DEAD_POISON: partial(dead_conditions.find_dead_poison, fingerprint=POISON_FINGERPRINT),
        dead_conditions.DEAD_UNATTENDED: partial(dead_conditions.find_dead_unattended, now=now),
        budget_conditions.BUDGET_USED: partial(budget_conditions.find_used_budgets, now=now),
        budget_conditions.BUDGET_FORECAST: partial(budget_conditions.find_forecasts, now=now),
        CONVERSATION_INCONSISTENT: find_inconsistencies,
        SPEND_RUNAWAY: partial(watch_runaways, now=now),
        webhook_conditions.WEBHOOK_OFF: partial(webhook_conditions.find_switched_off, now=now),
        access_conditions.KEYS_REFUSED: partial(access_conditions.find_refused_keys, now=now),
        access_conditions.SIGN_INS_SLOWED: partial(access_conditions.find_slowed_sign_ins, now=now),
        platform_conditions.BREAKER_OPEN: partial(platform_conditions.find_open_breakers, now=now),
        platform_conditions.USE_OVERSTATED: partial(platform_conditions.find_overstated_use, now=now),
        platform_conditions.WORK_OLD: partial(platform_conditions.find_old_work, now=now),
        platform_conditions.WORK_REFUSED: partial(platform_conditions.find_refused_work, now=now),
        platform_conditions.WORK_UNSERVED: partial(platform_conditions.find_unserved_work, now=now),
    }
