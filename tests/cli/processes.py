"""Commands in processes of their own, forked from this one, which has imported everything: that takes seconds."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anogan.cli.main import main

LONGEST = 60  # seconds


@dataclass(frozen=True)
class Process:
    """A running command, which writes all that it says to the file `log`."""

    pid: int
    log: Path

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code, minus the number of a signal that killed it, and what was said.

        What runs for longer than `LONGEST` is killed.
        """
        deadline = time.monotonic() + LONGEST
        while not self._has_ended():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code, self.log.read_text()

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def ended_by(self, number: int, when: Callable[[], bool]) -> tuple[int, str]:
        """Send a signal as soon as `when()` holds, wait for the end, and return what `end` does."""
        deadline = time.monotonic() + LONGEST
        while not when() and not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(self.pid, number)
        return self.end()


def start(args: list[object], log: Path, first: Callable[[], object] = lambda: None) -> Process:
    """Start a command, which calls `first` before it does anything else."""
    child = os.fork()
    if child:
        return Process(child, log)
    code = 70
    try:
        sys.stderr = sys.stdout = log.open("w")
        sys.unraisablehook = sys.__unraisablehook__  # pytest's would keep what is said of errors in finalisers
        # A shell that starts the tests in the background has its children ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["anogan", *map(str, args)]
        first()
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # this process is a copy of pytest's, which must not go on in it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
