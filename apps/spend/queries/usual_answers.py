"""How long the answers of a model were lately: what an estimate goes by."""

from uuid import UUID

from apps.lib.sql import server_cursor
from apps.spend.domain.usual import UsualAnswers

# So many of somebody's newest charges are looked at, whatever their model: the indexes find them, however many there are.
_NEWEST = 5000
# With fewer calls of its own, a feature or a workspace is judged by the next wider circle.
_ENOUGH = 20

_TOLD = """
SELECT count(*), avg(said), percentile_cont(0.1) WITHIN GROUP (ORDER BY said), percentile_cont(0.9) WITHIN GROUP (ORDER BY said),
       coalesce(sum(cached) / nullif(sum(heard), 0), 0)
FROM (SELECT provider_id, upstream_model, feature, output_tokens + reasoning_tokens AS said, cached_input_tokens AS cached,
             input_tokens + cached_input_tokens + cache_write_tokens AS heard
      FROM spend_charge WHERE {whose} ORDER BY id DESC LIMIT %(newest)s) AS newest
WHERE provider_id = %(provider_id)s AND upstream_model = %(upstream_model)s AND {of_them}
"""
_CIRCLES = {
    "feature": ("workspace_id = %(workspace_id)s", "feature = %(feature)s"),
    "workspace": ("workspace_id = %(workspace_id)s", "true"),
    "platform": ("true", "true"),
}


def find_usual_answers(
    *, provider_id: UUID, upstream_model: str, workspace_id: UUID | None = None, feature: str = ""
) -> UsualAnswers | None:
    """Of the narrowest circle that has enough calls of it; None when nobody has any."""
    values = {"provider_id": provider_id, "upstream_model": upstream_model, "workspace_id": workspace_id, "feature": feature}
    for of, (whose, of_them) in _CIRCLES.items():
        if (of != "platform" and workspace_id is None) or (of == "feature" and not feature):
            continue
        with server_cursor() as cursor:
            cursor.execute(_TOLD.format(whose=whose, of_them=of_them).encode(), values | {"newest": _NEWEST})
            calls, mean, low, high, cached_share = cursor.fetchall()[0]
        if calls >= (1 if of == "platform" else _ENOUGH):
            return UsualAnswers(of, calls, low, float(mean), high, float(cached_share))
    return None
