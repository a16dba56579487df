"""What becomes of memory that a child frees, seen in a process of its own: it cannot be undone."""

import subprocess
import sys

#: two blocks at once as large as a call's pixels, freed and taken again; prints how many times the kernel gave memory
TWICE = """
import resource
from worker.memory import keep_freed
{begin}
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [b"x" * (12 * 2**20 + each) for each in range(2)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(use(), use(), use())
"""


def faults(begin: str) -> list[int]:
    output = subprocess.check_output([sys.executable, "-c", TWICE.format(begin=begin)], text=True)
    return [int(each) for each in output.split()]


def test_what_a_page_has_freed_serves_the_next() -> None:
    """The kernel is asked for it once; left alone, glibc gives two blocks of that size back each time."""
    first, *later = faults("keep_freed()")
    assert max(later) < first / 10
    first, *later = faults("")
    assert min(later) > first / 10
