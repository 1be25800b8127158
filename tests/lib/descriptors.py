"""A process that can open nothing more."""

import gc
import os
import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Meanwhile the next descriptor that this process would get is beyond its limit."""
    # What garbage still holds would be free again in the middle.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
