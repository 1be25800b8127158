"""What keeps an event loop quick in a process that also has threads at work."""

import gc
import sys

# How long a thread that computes may keep the others waiting; an event loop comes back from each wait behind all of them.
_SWITCH_SECONDS = 0.001


def keep_loops_quick() -> None:
    """Call it once all code has been loaded.

    What is there by then stays for good: the collector needn't look through it again, which holds up everything for a tenth of a second.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
