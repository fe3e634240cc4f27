"""How long anogan takes to start, beside the libraries that it depends on."""

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import ClassVar

import numpy as np
import pandas as pd

import anogan

from .experiment import Cell, Experiment, Record, measured, numbers
from .report import table

BARE = "import torch, sklearn.base, pandas"
IMPORT = "from anogan import DenoisingGAN"
SCORE = "anogan score, ten rows"
ANOGAN = str(Path(sys.executable).with_name("anogan"))
COMMANDS = {
    BARE: [sys.executable, "-c", BARE],
    IMPORT: [sys.executable, "-c", IMPORT],
    "anogan list": [ANOGAN, "list"],
    "anogan fit --help": [ANOGAN, "fit", "--help"],
    "anogan score --help": [ANOGAN, "score", "--help"],
    SCORE: [ANOGAN, "score", "rows.csv", "-m", "model", "-o", "scores.csv", "--quiet"],
}


class Startup(Experiment):
    """Wall-clock time of new processes."""

    name = "startup"
    help = "Start-up times, as ratios to the import of torch, scikit-learn and pandas."
    axes: ClassVar = (numbers("repetition", "0-6"),)
    needs_data = False

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        rows = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 5))).add_prefix("x")
        with tempfile.TemporaryDirectory() as home:
            with warnings.catch_warnings():  # the model is small on purpose
                warnings.simplefilter("ignore")
                anogan.detector_class("denoising_gan")(steps=20, random_state=0).fit(rows).save(Path(home) / "model")
            rows[:10].to_csv(Path(home) / "rows.csv", index=False)
            seconds = {}
            for name, words in COMMANDS.items():
                began = time.perf_counter()
                subprocess.run(words, cwd=home, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                seconds[name] = round(time.perf_counter() - began, 3)
                (Path(home) / "scores.csv").unlink(missing_ok=True)
        return {"seconds": seconds}

    def report(self, records: list[Record], folder: Path) -> str:
        records = measured(records)
        rows = []
        for name in COMMANDS:
            seconds = [r["seconds"][name] for r in records]
            ratios = [r["seconds"][name] / r["seconds"][BARE] for r in records]
            shown = f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
            rows.append([f"`{name}`", shown, f"{median(ratios):.2f}"])
        return f"""\
# Start-up

{self.made_by} Each repetition starts one process after the other, so that the
ratios compare times taken under the same load. {len(records)} repetitions: median (least to most) of the seconds,
median of the ratios to the first line.

{table(["process", "seconds", "ratio"], rows)}"""
