"""Power and proportion of flags at a false discovery rate, by the number of calibration rows and the tail."""

import warnings
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch

import anogan

from . import adbench
from .experiment import Cell, Experiment, Record, measured, names
from .report import table

CHOSEN_ON = (
    *("ALOI", "annthyroid", "campaign", "donors", "http", "landsat", "magic.gamma"),
    *("mnist", "pendigits", "shuttle", "skin"),
)
"""Tables on which the settings of the fitted tail were chosen."""
OTHERS = ("optdigits", "Waveform", "Wilt")
TRAINING, NORMAL, ANOMALOUS = 2000, 18_000, 3000  # rows that are learned, and that are scored once, at most
CALIBRATION = (400, 2000, 10_000)
FRESH, ANOMALIES = 900, 100  # rows of a draw
FDRS = (0.01, 0.05, 0.1)
TAILS = ("empirical", "fitted")
DRAWS = 200
SETTINGS: dict[str, Any] = {"steps": 200, "width": 64, "n_members": 2}


class Discoveries(Experiment):
    """Flags in many draws of calibration rows and new rows from scores that are computed once."""

    name = "discoveries"
    help = "Flags at a false discovery rate: power and proportion by the number of calibration rows."
    axes = (names("dataset", lambda _: (*CHOSEN_ON, *OTHERS)),)

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        rng = np.random.default_rng(0)
        split = adbench.tables(data_dir)[cell["dataset"]].load(data_dir, rng, {})
        normal = rng.permutation(np.concatenate([split.train, split.test[~split.labels]]))
        anomalous = rng.permutation(split.test[split.labels])[:ANOMALOUS]
        training = min(TRAINING, len(normal) - CALIBRATION[1] - FRESH)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
            detector = anogan.DenoisingGAN(random_state=0, **SETTINGS).fit(normal[:training])
        ordinary = detector.anomaly_score(normal[training:][:NORMAL])
        unusual = detector.anomaly_score(anomalous)
        return {"training": training, "draws": DRAWS, "found": _flags(detector.calibration_, ordinary, unusual)}

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def _flags(calibration: Any, ordinary: np.ndarray, unusual: np.ndarray) -> list[Record]:
    """Return the means over the draws for each number of calibration rows, rate and tail."""
    found = []
    for rows in CALIBRATION:
        if len(ordinary) < rows + FRESH:
            continue
        shares: dict[tuple[float, str], list[tuple[float, float]]] = {}
        for seed in range(DRAWS):
            rng = np.random.default_rng(seed)
            drawn = rng.permutation(ordinary)
            calibrated = replace(calibration, scores=np.sort(drawn[:rows]))
            anomalies = rng.choice(unusual, ANOMALIES, replace=False)
            mixed = np.concatenate([drawn[rows : rows + FRESH], anomalies])
            for fdr in FDRS:
                for tail in TAILS:
                    flagged = calibrated.flag(mixed, fdr, tail)
                    false = flagged[:FRESH].sum() / max(flagged.sum(), 1)
                    shares.setdefault((fdr, tail), []).append((float(false), float(flagged[FRESH:].mean())))
        for (fdr, tail), values in shares.items():
            false, power = np.mean(values, axis=0)
            error = np.std([value for value, _ in values], ddof=1) / DRAWS**0.5
            found.append(
                {"rows": rows, "fdr": fdr, "tail": tail, "power": round(float(power), 4)}
                | {"false": round(float(false), 5), "error": round(float(error), 5)}
            )
    return found


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    by_name = {r["dataset"]: r["found"] for r in records}
    sections = []
    for rows in CALIBRATION:
        for fdr in FDRS:
            lines = []
            for name in [name for name in (*CHOSEN_ON, *OTHERS) if name in by_name]:
                of = {f["tail"]: f for f in by_name[name] if (f["rows"], f["fdr"]) == (rows, fdr)}
                if of:
                    cells = [f"{of[tail][key]:.3f}" for tail in TAILS for key in ("power", "false")]
                    over = [tail for tail in TAILS if of[tail]["false"] - 2.576 * of[tail]["error"] > fdr]
                    lines.append([f"{name}{'' if name in OTHERS else ' *'}", *cells, " and ".join(over) or "none"])
            if not lines:
                continue
            head = ["data", "power", "false", "power, fitted", "false, fitted", "above the rate"]
            sections.append(f"## {rows:,} calibration rows, FDR {fdr:g}\n\n{table(head, lines, texts=1)}")
    introduction = fill(
        f"{made_by} A detector ({SETTINGS}) learns up to {TRAINING:,} normal rows of an ADBench table and scores up "
        f"to {NORMAL:,} others and {ANOMALOUS:,} anomalies once. {DRAWS} times, calibration rows, {FRESH} fresh normal "
        f"rows and {ANOMALIES} anomalies are drawn from these scores. *Power*: mean share of the anomalies that are "
        "flagged; *false*: mean share of normal rows among the flagged, 0 if none is flagged; *above the rate*: by "
        "more than 2.576 standard errors. On the tables with * the settings of the fitted tail were chosen; the others "
        "were not used for it.",
        width=119,
    )
    return f"""\
# How many anomalies does a false discovery rate leave?

{introduction}

With empirical p-values from m calibration rows Benjamini-Hochberg keeps the rate (Bates 2023, arXiv:2104.08279), but it
flags at least n / (FDR (m + 1)) of n rows or none. The fitted tail is a model: it never flags less than counting, can
flag where counting cannot, and can exceed the rate. Cross-conformal p-values, from K models that each leave out a part
of the training rows, are not offered: they take K fits and K scorings of each row, their level is guaranteed up to a
factor of two only (Barber 2021, arXiv:1905.02928), and their power is at best that of as many calibration rows as there
are training rows, which the tables show. `recalibrate` with more normal rows has this power without another fit.

{chr(10).join(f"{section}{chr(10)}" for section in sections)}"""
