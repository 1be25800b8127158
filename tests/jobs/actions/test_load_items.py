"""Chunks are made ahead in a thread, which leaves nothing open."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from apps.jobs.actions.load_items import _Chunk, _read_ahead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("end", ["at its end", "left"])
def test_what_the_thread_has_read_by_is_closed(end: str) -> None:
    used: list[Any] = []

    def chunks() -> Iterator[_Chunk]:
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            used.append(connection.connection)
            yield _Chunk([], [])

    ahead = _read_ahead(chunks())
    assert next(ahead) == _Chunk([], [])
    if end == "left":
        ahead.close()  # type: ignore[attr-defined]  # it is a generator
    else:
        assert len(list(ahead)) == 2
    assert used[0] is not connection.connection
    assert [one.closed for one in used] == [True] * len(used)
