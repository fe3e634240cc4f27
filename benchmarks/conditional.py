"""What a condition is worth: normal rows of NSL-KDD in the wrong context, scored with and without the condition."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import anogan
from anogan import metrics

from .experiment import Cell, Experiment, Record, measured, names, numbers
from .intrusion import NSL_KDD
from .report import table

CONDITIONS = ("service", "protocol_type")
TRAIN, EACH = 8000, 2000  # rows at most: of training, of each kind of test rows
GIVEN, ORDINARY, LEFT_OUT = "given", "an ordinary column", "left out"
VARIANTS = {
    f"conditional_gan, {GIVEN}": ("conditional_gan", GIVEN),
    f"conditional_gan, {ORDINARY}": ("conditional_gan", ORDINARY),
    f"conditional_gan, {LEFT_OUT}": ("conditional_gan", LEFT_OUT),
    f"denoising_gan, {ORDINARY}": ("denoising_gan", ORDINARY),
}
"""Detector, and what it gets of the condition."""
ANOMALIES = ("misplaced", "attacks")


def rows_of(data_dir: Path, condition: str, seed: int) -> dict[str, pd.DataFrame]:
    """Return normal rows to train on; and normal rows, misplaced normal rows and attacks of the published test file.

    Misplaced rows get another condition, drawn by its frequency in training. Test rows whose condition the training
    rows do not have are left out, since a model with a condition refuses them.
    """
    rng = np.random.default_rng(seed)
    train, test = (pd.read_csv(data_dir / file) for file in NSL_KDD)
    train = train[train["label"] == "normal"].drop(columns="label")
    train = train.iloc[rng.permutation(len(train))[:TRAIN]]
    share = train[condition].value_counts(normalize=True)
    test = test[test[condition].isin(share.index)]
    test = test.iloc[rng.permutation(len(test))]
    is_normal = test.pop("label") == "normal"
    normal, misplaced = test[is_normal][:EACH], test[is_normal][EACH : 2 * EACH].copy()
    others = [share.drop(value) for value in misplaced[condition]]
    misplaced[condition] = [rng.choice(other.index, p=other / other.sum()) for other in others]
    return {"train": train, "normal": normal, "misplaced": misplaced, "attacks": test[~is_normal][:EACH]}


class Conditional(Experiment):
    """ConditionalGAN with and without its condition."""

    name = "conditional"
    help = "ConditionalGAN with its condition given, as an ordinary column, and left out."
    axes = (
        names("condition", lambda _: CONDITIONS),
        numbers("seed", "0-2"),
        names("variant", lambda _: list(VARIANTS)),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        condition, seed = cell["condition"], cell["seed"]
        name, use = VARIANTS[cell["variant"]]
        rows = rows_of(data_dir, condition, seed)
        seen = {k: part.drop(columns=condition) if use == LEFT_OUT else part for k, part in rows.items()}
        given: dict[str, Any] = {"condition": condition} if use == GIVEN else {}
        detector = anogan.detector_class(name)(random_state=seed, **given).fit(seen["train"])
        scores = {kind: detector.anomaly_score(seen[kind]) for kind in ("normal", *ANOMALIES)}
        found = {}
        for kind in ANOMALIES:
            labels = np.arange(len(scores["normal"]) + len(scores[kind])) >= len(scores["normal"])
            found[kind] = round(metrics.auroc(labels, np.concatenate([scores["normal"], scores[kind]])), 6)
        return found

    def report(self, records: list[Record], folder: Path) -> str:
        records, rows = measured(records), []
        for condition, variant in dict.fromkeys((r["condition"], r["variant"]) for r in records):
            here = [r for r in records if (r["condition"], r["variant"]) == (condition, variant)]
            row = [condition, *VARIANTS[variant]]
            for kind in ANOMALIES:
                found = [100 * r[kind] for r in sorted(here, key=lambda r: r["seed"])]
                row += [f"{np.mean(found):.2f}", " ".join(f"{value:.2f}" for value in found)]
            rows.append(row)
        head = ["condition", "detector", "the condition is", "misplaced", "of each seed", "attacks", "of each seed"]
        return f"""\
# What a condition is worth

{self.made_by} NSL-KDD: at most {TRAIN} normal training rows; AUROC of {EACH} normal test rows against as many
*misplaced* ones (normal test rows with another condition, drawn by its frequency), and against attacks.

{table(head, rows, texts=3)}"""
