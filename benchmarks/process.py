"""Processes that are measured: their peak memory, and ending them with everything that they started."""

import contextlib
import resource
import sys
from pathlib import Path

import psutil


def peak_mb(pid: int | None = None) -> int:
    """Return the peak resident memory in MB of a running process, of this one by default.

    The kernel's ``VmHWM`` is used where there is one: ``ru_maxrss`` of a process that another one started
    also counts the memory of the latter.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.is_file():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return round(int(lines[0].split()[1]) / 2**10) if lines else 0  # a process that has just ended has no memory
    peak = resource.getrusage(resource.RUSAGE_SELF if pid is None else resource.RUSAGE_CHILDREN).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def kill_tree(pid: int) -> None:
    """Kill the processes that this one has started, then the process itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
