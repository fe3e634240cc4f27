"""Commands that are ended at random moments, resumed, and compared with the same command left alone."""

import hashlib
import os
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

from anogan.cli.main import cli, stop_as_by_ctrl_c
from anogan.engine import settings

SHORT = 0.02  # seconds between checkpoints, instead of the interval that is shipped
LIMIT = 300.0  # seconds after which a command that does not end is a fault
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Kill:
    """One command that was ended, resumed until it succeeded, and compared.

    Attributes
    ----------
    what : str
        "fit, checkpoints as shipped", "fit, many checkpoints" or "score".
    signal : str
    ended : int
        How often the signal came before the command had finished by itself.
    fault : str
        Empty if the result is equal bit for bit.
    """

    what: str
    signal: str
    ended: int
    fault: str


class Subject:
    """A command, its result when it is left alone, and how long it takes then.

    Parameters
    ----------
    what : str
    folder : Path
    words : list of str
        The command; ``{out}`` stands for the output and ``{state}`` for what an interrupted run leaves.
    checkpoint_seconds : float or None
        Another interval than the one that is shipped.
    """

    def __init__(self, what: str, folder: Path, words: list[str], checkpoint_seconds: float | None = None) -> None:
        self.what, self.folder, self.words, self.checkpoint_seconds = what, folder, words, checkpoint_seconds
        self.output = "out.csv" if words[0] == "score" else "out.anogan"
        began = time.monotonic()
        status, err = self._ended(self._started(folder / "alone"), folder / "alone")
        assert status == 0, err
        self.seconds = time.monotonic() - began
        self.expected = content(folder / "alone" / self.output)

    def killed(self, rng: Random, number: int) -> Kill:
        """End the command once or twice at random moments, resume it, and compare."""
        home = self.folder / f"{self.what.split(',')[0]}-{number}"
        by, ended, fault = rng.choice(SIGNALS), 0, ""
        moments = [rng.uniform(0, self.seconds) for _ in range(rng.choice((1, 1, 2)))]
        for moment in [*moments, None]:
            child = self._started(home)
            if moment is not None:
                time.sleep(moment)
                os.kill(child, by)
            status, err = self._ended(child, home)
            if moment is not None and status in (-by, 128 + by):
                ended += 1
            elif status != 0:
                fault = f"ended with {status}: {err[-300:]}"
                break
            if "Traceback" in err:
                fault = f"a traceback: {err[-300:]}"
            if (home / self.output).exists():
                if content(home / self.output) != self.expected:
                    fault = "the output is not that of a run that was left alone"
                break
        left = sorted(p.name for p in home.iterdir()) if home.exists() else []
        if not fault and left != sorted({self.output, "stderr", *(["state"] if "{state}" in self.words else [])}):
            fault = f"files were left: {', '.join(left)}"
        shutil.rmtree(home, ignore_errors=True)
        return Kill(self.what, by.name, ended, fault)

    def _started(self, home: Path) -> int:
        """Start the command in a process that has everything imported; return its number."""
        home.mkdir(parents=True, exist_ok=True)
        places = {"{out}": str(home / self.output), "{state}": str(home / "state")}
        words = [places.get(word, word) for word in self.words]
        if words[0] == "score" and (home / f"{self.output}.part").exists():
            words.append("--resume")
        child = os.fork()
        if child:
            return child
        code = 70
        try:
            sys.stderr = sys.stdout = (home / "stderr").open("w")
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            stop_as_by_ctrl_c()
            if self.checkpoint_seconds is not None:
                settings.TrainerSettings.__init__.__defaults__ = (self.checkpoint_seconds,)
            cli.main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        except KeyboardInterrupt:  # before or after the command itself
            code = 128 + signal.SIGTERM
        finally:
            os._exit(code)

    def _ended(self, child: int, home: Path) -> tuple[int, str]:
        """Wait for a process; return its exit code and what it said."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status), (home / "stderr").read_text() if home.exists() else ""
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 71, "did not end"


def subjects(folder: Path) -> Iterator[Subject]:
    """Yield the commands."""
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(300, 4)), columns=[*"abcd"]).to_csv(folder / "rows.csv", index=False)
    pd.DataFrame(rng.normal(size=(12_000, 4)), columns=[*"abcd"]).to_parquet(folder / "many.parquet")
    tiny = [
        "--detector",
        "ganomaly",
        "--width",
        "8",
        "--batch-size",
        "16",
        "--n-members",
        "2",
        "--random-state",
        "0",
        "-q",
    ]
    fit = ["fit", str(folder / "rows.csv"), "-m", "{out}", "--checkpoint", "{state}", "--steps", "150", *tiny]
    yield Subject("fit, checkpoints as shipped", folder / "shipped", fit)
    short = Subject("fit, many checkpoints", folder / "short", fit, SHORT)
    yield short
    score = ["score", str(folder / "many.parquet"), "-m", str(folder / "short" / "alone" / short.output), "-o", "{out}"]
    yield Subject("score", folder / "score", [*score, "--chunk-rows", "100", "-q"])


def content(path: Path) -> dict[str, str]:
    """Return digests of a file, or of the members of a model file, whose times of writing are not compared."""
    if path.suffix != ".anogan":
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    with zipfile.ZipFile(path) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
