"""Memory of the process."""

import ctypes
import sys


def return_freed_memory() -> None:
    """Give memory that was freed back to the system.

    glibc's malloc keeps it for reuse. What a phase of a fit leaves behind lies between blocks that are still in use,
    where the next phase often finds no place for its larger ones. Does nothing with other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
