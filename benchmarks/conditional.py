"""What a condition is worth: normal rows of NSL-KDD in the wrong context, judged with and without being told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import anogan
from anogan import metrics

from .datasets import NSL_KDD

CONDITIONS = ("service", "protocol_type")
TRAIN, EACH = 8000, 2000  # rows at most: of training, of each kind of test rows
GIVEN, ORDINARY, LEFT_OUT = "given", "an ordinary column", "left out"
VARIANTS = (
    ("conditional_gan", GIVEN),
    ("conditional_gan", ORDINARY),
    ("conditional_gan", LEFT_OUT),
    ("denoising_gan", ORDINARY),
)
ANOMALIES = ("misplaced", "attacks")
Result = tuple[str, str, str, int, str, float]  # condition, detector, use, seed, anomalies, AUROC


def rows_of(data_dir: Path, condition: str, seed: int) -> dict[str, pd.DataFrame]:
    """Normal rows to train on; of the published test rows normal ones, misplaced normal ones, and attacks.

    Misplaced rows get another condition, drawn by its frequency in training. Test rows whose condition the training
    rows do not have are left out: a model with a condition refuses them.
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


def run(data_dir: Path, seeds: list[int]) -> Iterator[Result]:
    """Every variant on every condition."""
    for condition in CONDITIONS:
        for seed in seeds:
            rows = rows_of(data_dir, condition, seed)
            for name, use in VARIANTS:
                seen = {k: part.drop(columns=condition) if use == LEFT_OUT else part for k, part in rows.items()}
                given: dict[str, Any] = {"condition": condition} if use == GIVEN else {}
                detector = anogan.detector_class(name)(random_state=seed, **given).fit(seen["train"])
                scores = {kind: detector.anomaly_score(seen[kind]) for kind in ("normal", *ANOMALIES)}
                for kind in ANOMALIES:
                    labels = np.arange(len(scores["normal"]) + len(scores[kind])) >= len(scores["normal"])
                    auroc = metrics.auroc(labels, np.concatenate([scores["normal"], scores[kind]]))
                    yield condition, name, use, seed, kind, auroc


def report(results: list[Result]) -> str:
    """The page: means over seeds, and the seeds one by one."""
    lines = [
        "# What a condition is worth",
        "",
        "Made by `python -m benchmarks conditional`. NSL-KDD: "
        f"at most {TRAIN} normal training rows; AUROC of {EACH} normal test rows against as many",
        "*misplaced* ones (normal test rows with another condition, drawn by its frequency), and against attacks.",
        "",
        "| condition | detector | the condition is | misplaced | of each seed | attacks | of each seed |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for condition, name, use in dict.fromkeys(result[:3] for result in results):
        cells = []
        for kind in ANOMALIES:
            found = [100 * r[5] for r in results if r[:3] == (condition, name, use) and r[4] == kind]
            cells += [f"{np.mean(found):.2f}", " ".join(f"{value:.2f}" for value in found)]
        lines.append(f"| {condition} | {name} | {use} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
