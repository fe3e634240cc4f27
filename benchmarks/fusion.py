"""Which views of a table, which synthetic anomalies and which mean of p-values make a good fusion without labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp

from anogan import metrics

from . import adbench, oddbench
from .datasets import limited
from .experiment import Axis, Cell, Experiment, Record, measured, numbers
from .ranking import TIE
from .report import table
from .views import views

FOLDS = 4
MAX_ROWS = 5000
MAX_TRAIN = 1500
PROBES = 640
REFERENCE = "standard k=3"

NINE = (
    *(f"standard k={k}" for k in (1, 3, 5)),
    *("quantile k=3", "whitened standard k=3", "lof standard", "mahalanobis", "pca residual", "forest"),
)
DISTANCES = (
    *(f"{scaling} k=1" for scaling in ("standard", "soft", "asinh", "categories")),
    *("quantile k=3", "whitened standard k=3", "whitened quantile k=3"),
)
TAILS = ("tails", "left tails", "right tails")
TEN = DISTANCES + TAILS
SIXTEEN = (*TEN, "dependency", "lof standard", "lof soft", "mixture standard", "mixture quantile", "forest")
SHUFFLED = ("shuffled", "swapped", "jittered")
NEAR = ("between", "one swapped", "beyond")


@dataclass(frozen=True)
class Rule:
    """A fusion: its views, the synthetic anomalies that weight them, how sharply they do, and the mean of p-values."""

    views: tuple[str, ...]
    probes: tuple[str, ...] = NEAR
    sharpness: float = 10.0
    harmonic: bool = True


def _without(*left_out: str) -> Rule:
    return Rule(tuple(name for name in TEN if name not in left_out))


RULES: dict[str, Rule] = {
    "nine views": Rule(NINE, SHUFFLED, 20.0),
    "nine views, geometric mean": Rule(NINE, SHUFFLED, 20.0, harmonic=False),
    "nine views, near probes": Rule(NINE),
    "sixteen views": Rule(SIXTEEN),
    "ten views": Rule(TEN),
    "ten views, equal weights": Rule(TEN, sharpness=0.0),
    "ten views, shuffled probes": Rule(TEN, SHUFFLED),
    "ten views, geometric mean": Rule(TEN, harmonic=False),
    "distances": Rule(DISTANCES),
    "without one-sided tails": _without("left tails", "right tails"),
    "without quantile scaling": _without("quantile k=3", "whitened quantile k=3"),
    "without whitening": _without("whitened standard k=3", "whitened quantile k=3"),
    "without categories": _without("categories k=1"),
    "without soft and asinh scaling": _without("soft k=1", "asinh k=1"),
    "ten views and dependency": Rule((*TEN, "dependency")),
}


def labelled_tables(data_dir: Path) -> dict[str, oddbench.Dataset]:
    """Return OddBench's and ADBench's tables, by name."""
    return oddbench.tables(data_dir) | adbench.tables(data_dir)


def tables_option() -> Axis:
    """Return the axis of these tables, which can be chosen by name or by protocol."""
    return oddbench.tables_axis(labelled_tables, (*oddbench.HALVES, "semi"))


class Fusion(Experiment):
    """All views of a table, and all fusions of them, in one cell."""

    name = "fusion"
    help = "Views of OddBench's and ADBench's tables, and fusions of them without labels."
    axes: ClassVar[tuple[Axis, ...]] = (numbers("seed", "0"), tables_option())

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        dataset = labelled_tables(data_dir)[cell["dataset"]]
        rng = np.random.default_rng(cell["seed"])
        split = limited(dataset.load(data_dir, rng, {"max_rows": MAX_ROWS}), {"max_train": MAX_TRAIN}, rng)
        scores = fused(split.train, split.test, cell["seed"])
        found: Record = {"protocol": dataset.protocol, "n_train": len(split.train), "n_test": len(split.test)}
        for metric in ("auroc", "aupr"):
            measure = getattr(metrics, metric)
            found[metric] = {name: round(measure(split.labels, values), 5) for name, values in scores.items()}
        return found

    def outcome(self, record: Record) -> str:
        return ", ".join(f"{name} {record['auroc'][name]:.3f}" for name in (REFERENCE, "nine views", "ten views"))

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def fused(train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the scores of test rows (n, d) by each view and by each of `RULES`.

    Each view is fitted on three quarters of the training rows in turn, so that every training row has a score by
    views that have not seen it; a test row's p-value is its rank among these. Test rows are scored by views of all
    training rows.
    """
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(train)) % FOLDS
    held_out: list[dict[str, np.ndarray]] = []
    separated: list[dict[str, dict[str, float]]] = []
    for k in range(FOLDS):
        known, rows = train[fold != k], train[fold == k]
        made = probes(known, rng.permutation(rows)[: PROBES // FOLDS], rng)
        everything = views(known, np.concatenate([rows, *made.values()]), seed)
        held_out.append({name: scores[: len(rows)] for name, scores in everything.items()})
        count = len(next(iter(made.values())))
        ends = {name: len(rows) + count * (i + 1) for i, name in enumerate(made)}
        separated.append(
            {
                view: {
                    name: metrics.auroc(
                        np.arange(len(rows) + count) >= len(rows),
                        np.concatenate([scores[: len(rows)], scores[end - count : end]]),
                    )
                    for name, end in ends.items()
                }
                for view, scores in everything.items()
            }
        )
    found = views(train, test, seed)
    evidence = {}
    for name, scores in found.items():
        normal = np.sort(np.concatenate([part[name] for part in held_out]))
        beyond = len(normal) - np.searchsorted(normal, scores, side="left")
        evidence[name] = -np.log((1 + beyond) / (1 + len(normal)))
    for name, rule in RULES.items():
        areas = np.array([np.mean([[part[view][p] for p in rule.probes] for part in separated]) for view in rule.views])
        weights = np.exp(rule.sharpness * (areas - areas.max()))
        weights /= weights.sum()
        chosen = np.stack([evidence[view] for view in rule.views])
        found[name] = logsumexp(chosen, axis=0, b=weights[:, None]) if rule.harmonic else weights @ chosen
    return found


def probes(train: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return synthetic anomalies (m, d) that are made of rows (m, d), for each recipe."""
    n, (m, d) = len(train), rows.shape
    columns, row = np.arange(d), np.arange(m)
    upper, lower = np.quantile(train, [0.75, 0.25], axis=0)
    scale = np.where(upper > lower, upper - lower, train.std(axis=0))
    drawn = train[rng.integers(n, size=(m, d)), columns]
    other = train[rng.integers(n, size=m)]
    one = np.zeros((m, d), dtype=bool)
    one[row, rng.integers(d, size=m)] = True
    share = rng.uniform(0.3, 0.7, size=(m, 1))
    low, high = np.quantile(train, [0.01, 0.99], axis=0)
    away = 0.25 * scale * rng.random((m, d))
    beyond = np.where(rng.random((m, d)) < 0.5, low - away, high + away)
    return {
        "shuffled": drawn,
        "swapped": np.where(rng.random((m, d)) < 0.3, drawn, rows),
        "jittered": rows + 0.5 * scale * rng.normal(size=(m, d)),
        "between": share * rows + (1 - share) * other,
        "one swapped": np.where(one, other, rows),
        "beyond": np.where(one | (rng.random((m, d)) < 0.15), beyond, rows),
    }


def report(records: list[Record], made_by: str) -> str:
    """Return the page: a table of means and of differences from the reference, for each protocol."""
    parts = [f"# Fusions without labels\n\n{made_by} {EXPLAINED}"]
    for name in dict.fromkeys(r["protocol"] for r in records):
        chosen = [r for r in records if r["protocol"] == name]
        auroc, aupr = (
            100
            * pd.DataFrame([r[metric] for r in chosen], index=[r["dataset"] for r in chosen]).groupby(level=0).mean()
            for metric in ("auroc", "aupr")
        )
        gains = auroc.sub(auroc[REFERENCE], axis=0)
        won, lost = ((sign * gains >= 100 * TIE).mean() * 100 for sign in (1, -1))
        rows = [
            [method, f"{auroc[method].mean():.2f}", f"{gains[method].mean():+.2f} ± {gains[method].sem():.2f}",
             f"{won[method]:.0f}", f"{lost[method]:.0f}", f"{gains[method].min():+.1f}", f"{aupr[method].mean():.2f}"]
            for method in gains.mean().sort_values(ascending=False).index
        ]  # fmt: skip
        views_of = {"best ten": TEN, "best view": [v for v in auroc.columns if v not in RULES]}
        oracles = [
            f"{label} {(auroc[list(names)].max(axis=1) - auroc[REFERENCE]).mean():+.2f}"
            for label, names in views_of.items()
        ]
        head = ["method", "AUROC", "difference", "won %", "lost %", "worst", "AUPR"]
        parts += [f"## {name} ({len(gains)} tables)", table(head, rows), f"Oracle of each table: {'; '.join(oracles)}."]
    return "\n\n".join(parts)


EXPLAINED = f"""\
At most {MAX_TRAIN} training rows. Differences of AUROC are from {REFERENCE} (nearest neighbours) in points, ± their
standard error over tables; won and lost: tables on which they are at least {100 * TIE:g}. Views: ../views.py. Every
fusion is a mean of p-values (harmonic unless said otherwise), which are ranks among cross-fitted training rows; the
weight of a view is exp(s a), a the AUROC with which it separates held-out rows from synthetic anomalies. *Shuffled*
probes (s = 20 with nine views, else 10): every column shuffled, 30 % of the values replaced, noise of half an
interquartile range. *Near* probes (s = 10; the default): points between two rows, one value of another row, values just
beyond the range."""
