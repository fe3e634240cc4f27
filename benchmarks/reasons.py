"""Whether reasons are right: one known column of held-out normal rows is corrupted, and should be named first."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
import torch

import anogan
from anogan import protocol

from . import adbench
from .datasets import Generator
from .experiment import Cell, Experiment, Record, measured, names, numbers
from .intrusion import load_nsl_kdd
from .report import table

TRAIN, ROWS = 2000, 300  # normal rows, at most
DRAWN = 20  # other rows, the most different of whose values is taken
SHIFT = 4.0  # standard deviations
NOTICED = 0.05  # p-value of a row whose corruption the detector has noticed
CHOSEN_ON = ("annthyroid", "pendigits", "Waveform")  # tables that the method of attribution was chosen on
TABLES = (*CHOSEN_ON, "breastw", "cardio", "landsat", "magic.gamma", "Pima", "SpamBase", "Wilt", "yeast", "nsl-kdd")
DETECTORS = ("denoising_gan", "wgan_gp", "ganomaly", "skip_ganomaly", "pix2pix_inpainting", "f_anogan")


def normal_rows(data_dir: Path, name: str, rng: Generator) -> pd.DataFrame:
    """Return the normal rows of a table in random order; those of the training file for NSL-KDD."""
    if name == "nsl-kdd":
        rows = load_nsl_kdd(data_dir, rng, {}).train
    else:
        rows = pd.DataFrame(adbench.normal_rows(data_dir, name, rng)).add_prefix("x")
    return protocol.take(rows, rng.permutation(len(rows))).reset_index(drop=True)


def swapped(train: pd.DataFrame, value: object, name: str, rng: Generator) -> object:
    """Return the most different value of this column in some random rows; for categories any other one."""
    others = train[name].iloc[rng.choice(len(train), DRAWN)]
    if pd.api.types.is_numeric_dtype(others):
        return others.iloc[int((others - value).abs().argmax())]
    return next((other for other in others if other != value), value)


def shifted(train: pd.DataFrame, value: object, name: str, _: Generator) -> object:
    """Return a value some standard deviations farther from the mean; a category stays as it is."""
    column = train[name]
    if not pd.api.types.is_numeric_dtype(column):
        return value
    away = 1 if float(value) >= column.mean() else -1  # type: ignore[arg-type]
    return float(value) + away * SHIFT * column.std()  # type: ignore[arg-type]


def randomly_replaced(train: pd.DataFrame, _: object, name: str, rng: Generator) -> object:
    """Return the value of this column in a random row, which most often is as normal as the one it replaces."""
    return train[name].iloc[rng.choice(len(train))]


CORRUPTIONS: dict[str, Callable[..., object]] = {"swap": swapped, "shift": shifted, "random": randomly_replaced}
BOTH = ("swap", "shift")  # that "both" and "among three" are of


def corrupted(train: pd.DataFrame, rows: pd.DataFrame, kind: str, rng: Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows with one column changed, and the names of these columns; unchanged rows are left out."""
    varied = [name for name in train if train[name].nunique() > 1]
    changed = rows.astype({name: float for name in rows if pd.api.types.is_numeric_dtype(rows[name])})
    columns = rng.choice(varied, len(rows))
    for row, name in enumerate(columns):
        changed.loc[row, name] = CORRUPTIONS[kind](train, rows.loc[row, name], name, rng)
    kept = np.array([changed.loc[row, name] != rows.loc[row, name] for row, name in enumerate(columns)])
    return changed[kept], columns[kept]


class Reasons(Experiment):
    """One detector on one table with each corruption; the split, the corruption and the detector share the seed."""

    name = "reasons"
    help = "How often a corrupted column is named as the first reason."
    axes = (
        names("dataset", lambda _: TABLES),
        numbers("seed", "0"),
        names("detector", lambda _: DETECTORS),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        rng = np.random.default_rng(cell["seed"])
        normal = normal_rows(data_dir, cell["dataset"], rng)
        half = min(len(normal) // 2, TRAIN)
        train, held_out = normal[:half], normal[half : half + ROWS].reset_index(drop=True)
        found = {kind: corrupted(train, held_out, kind, rng) for kind in CORRUPTIONS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
            warnings.simplefilter("ignore", anogan.CalibrationWarning)
            detector = anogan.detector_class(cell["detector"])(random_state=cell["seed"]).fit(train)
        kinds = {kind: measure(detector, rows, columns) for kind, (rows, columns) in found.items()}
        return {"columns": normal.shape[1]} | kinds

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def measure(detector: anogan.Detector, rows: pd.DataFrame, columns: np.ndarray) -> Record:
    """Return how often the corrupted column is named first, and among the first three."""
    began = time.perf_counter()
    named = detector.reasons(rows, 3)
    seconds = time.perf_counter() - began
    right = named["column"].to_numpy() == columns[named["row"]]
    first, of_three = (np.zeros(len(rows), dtype=bool) for _ in range(2))
    first[named["row"][right & (named["rank"] == 1)]] = True
    of_three[named["row"][right]] = True
    noticed = detector.p_value(rows) <= NOTICED
    return {
        "rows": len(rows),
        "first": round(float(first.mean()), 4),
        "of_three": round(float(of_three.mean()), 4),
        "noticed": round(float(noticed.mean()), 4),
        "first_of_noticed": round(float(first[noticed].mean()), 4) if noticed.any() else None,
        "ms_per_row": round(1000 * seconds / len(rows), 3),
    }


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    introduction = fill(
        f"{made_by} Each detector learns at most {TRAIN} normal rows at its defaults. In each of at most {ROWS} "
        "held-out normal rows one random column (of those that vary) is then changed: *swap* takes the most "
        f"different of the values that {DRAWN} random training rows have there (for categories another one), *shift* "
        f"adds {SHIFT:g} standard deviations, away from the mean, and *random* takes the value of one random training "
        "row, which most often is as normal as the one it replaces. Rows that are unchanged by this are left out. The "
        "tables have the share of rows, in %, whose corrupted column `reasons` names first; *of noticed* counts only "
        f"those with a p-value of at most {NOTICED:g}: a value of another row may be normal there, and then nobody "
        "could tell. *both* and *among three*, the first three columns named, are of *swap* and *shift*. Times depend "
        "on what else the machine does.",
        width=119,
    )
    others = [name for name in TABLES if name not in CHOSEN_ON]
    rows = []
    for dataset, columns in dict.fromkeys((r["dataset"], r["columns"]) for r in records):
        for kind in CORRUPTIONS:
            cells = [
                _percent(
                    [
                        r[kind]["first"]
                        for r in records
                        if (r["dataset"], r["detector"]) == (dataset, name) and kind in r
                    ]
                )
                for name in DETECTORS
            ]
            rows.append([dataset, str(columns), kind, *cells])
    return f"""\
# Is the right column named?

{introduction}

The method (`anogan.explain.attribution.occlusion`) was chosen on {", ".join(CHOSEN_ON)}.

{_means("All tables", records)}

{_means("Tables that the method was not chosen on", [r for r in records if r["dataset"] in others])}

## One by one

{table(["data", "columns", "corruption", *DETECTORS], rows)}"""


def _means(title: str, records: list[Record]) -> str:
    head = ["detector", *(word for kind in CORRUPTIONS for word in (kind, "of noticed", "noticed"))]
    head += ["both", "among three", "ms per row"]
    rows = []
    for name in dict.fromkeys(r["detector"] for r in records):
        of_this = [r for r in records if r["detector"] == name]
        cells = []
        for kind in CORRUPTIONS:
            here = [r[kind] for r in of_this if kind in r]
            noticed = [r["first_of_noticed"] for r in here if r["first_of_noticed"] is not None]
            cells += [_percent([r["first"] for r in here]), _percent(noticed), _percent([r["noticed"] for r in here])]
        both = [r[kind] for r in of_this for kind in BOTH]
        cells += [_percent([r[what] for r in both]) for what in ("first", "of_three")]
        rows.append([name, *cells, f"{np.mean([r['ms_per_row'] for r in both]):.2f}"])
    return f"## {title}: {len({r['dataset'] for r in records})}, mean\n\n{table(head, rows)}"


def _percent(shares: list[float]) -> str:
    return f"{100 * np.mean(shares):.1f}" if shares else ""
