"""Big blocks go back to the system when they are freed, so that one big body does not make a process big for good.

What counts is how much address space is held: how much of it lies in memory at a moment is the system's affair.
"""

import subprocess
import sys

PROGRAM = """
import psutil
from apps.lib.memory import return_big_blocks
if {is_on}:
    return_big_blocks()
size = lambda: psutil.Process().memory_info().vms
blocks = [bytearray(n << 20) for n in (30, 20, 10)]
del blocks  # glibc now keeps blocks of such sizes on its heap
before = size()
held = [bytearray(2 << 20) for _ in range(50)]
keep = bytearray(100_000)
for block in held:
    block[:] = b"x" * len(block)
del held, block
print((size() - before) >> 20)
"""


def kept_megabytes(*, is_on: bool) -> int:
    program = PROGRAM.format(is_on=is_on)
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def test_what_was_freed_is_given_back() -> None:
    assert kept_megabytes(is_on=True) < 10
    assert kept_megabytes(is_on=False) > 50
