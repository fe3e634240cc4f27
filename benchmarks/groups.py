"""Whether the promised rate of false alarms holds for new groups, in tables whose rows come in groups."""

import warnings
from pathlib import Path
from textwrap import fill

import numpy as np
import torch

import anogan

from . import adbench
from .experiment import Cell, Experiment, Record, measured, names
from .promises import SHORT
from .report import table

MOST_ROWS = 10_000  # the first ones of a table
FEWEST_ROWS = 200
NEW = 0.2  # share of the rows, the last ones
RATE = 0.05
SEEDS = 5


class Groups(Experiment):
    """False alarms among the last rows of tables in their own order, with and without blocks that are held out."""

    name = "groups"
    help = "False alarms among new rows of tables whose rows come in groups, in their own order."
    axes = (names("dataset", lambda data_dir: list(adbench.tables(data_dir))),)

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        normal = adbench.in_order(data_dir, cell["dataset"])[:MOST_ROWS]
        if len(normal) < FEWEST_ROWS:
            return {"rows": len(normal)}
        known, new = np.split(normal, [round(len(normal) * (1 - NEW))])
        found: dict[str, list[float]] = {"own": [], "shuffled": [], "dependence": []}
        for seed in range(SEEDS):
            for order in ("own", "shuffled"):
                X = known if order == "own" else np.random.default_rng(seed).permutation(known)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", anogan.AnoganWarning)
                    detector = anogan.DenoisingGAN(target_fpr=RATE, random_state=seed).set_params(**SHORT)
                    found[order].append(float(np.mean(detector.fit(X).predict(new) < 0)))
                if order == "own":
                    found["dependence"].append(detector.fitted_on_.get("dependence", 0.0))
        return {"rows": len(normal)} | {name: round(float(np.mean(values)), 4) for name, values in found.items()}

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    fitted = sorted((r for r in records if "own" in r), key=lambda r: (-r["dependence"], r["dataset"].lower()))
    lines = [
        [
            r["dataset"],
            f"{r['rows']:,}",
            f"{r['dependence']:.2f}" if r["dependence"] else "",
            *(f"{r[order]:.3f}" for order in ("shuffled", "own")),
        ]
        for r in fitted
    ]
    introduction = fill(
        f"{made_by} `DenoisingGAN` ({SHORT}) learns the first {1 - NEW:.0%} of the normal rows of each ADBench table "
        f"(of up to {MOST_ROWS:,}, and of {FEWEST_ROWS} at least), in the order in which they are published, with a "
        f"target of {RATE:.0%} false alarms. *False alarms*: flagged rows among the last {NEW:.0%}; means over {SEEDS} "
        "seeds. "
        "If rows are shuffled before the fit, those that set the threshold are drawn at random, as before groups were "
        "recognised. *Alike*: the share of rows that are unlike the rest if blocks of rows that follow each other are "
        "left out, where it is above 0.15, so that blocks were held out to set the threshold.",
        width=119,
    )
    head = ["data", "rows", "alike", "false alarms, shuffled", "false alarms, own order"]
    return f"""\
# Rows in groups

{introduction}

{table(head, lines, texts=1)}

ALOI has pictures of one object in different light beside each other, musk conformations of one molecule, cardio
recordings of one patient. What changes from the first rows to the last ones, as in Wilt and skin, no hold-out among the
first ones shows, and it is flagged in either order.
"""
