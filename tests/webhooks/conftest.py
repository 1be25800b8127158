"""A receiver of webhooks that may be sent to."""

from collections.abc import Iterator

import pytest

from tests.webhooks.receivers import Receiver, opened, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found, opened(found):
        yield found
