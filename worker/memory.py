"""How glibc keeps memory that a child frees: for its next page."""

import ctypes

#: parameters of mallopt, from malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: blocks above it are given back at once; the highest that glibc takes
MAPPED_BYTES = 32 * 2**20
#: free memory at the heap's end above it is given back; about what a page of pixels takes, twice
KEPT_BYTES = 64 * 2**20


def keep_freed(**_: object) -> None:
    """Keep what a page has used, instead of giving it back and having each of its pages zeroed anew for the next.

    glibc finds such limits by itself, too low for two blocks of a call's size at once. Other C libraries have no
    mallopt, or one that does nothing.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
