"""Whether promised rates are kept on real tables: of false alarms, p-values and false discoveries; and drift."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch
from scipy.stats import betabinom

import anogan

from . import adbench
from .experiment import Cell, Experiment, Record, measured, names
from .report import table

TABLES = ("annthyroid", "landsat", "magic.gamma", "pendigits", "Waveform")
FIT, FRESH, ANOMALIES = 2000, 900, 100  # rows of a split
RATES, FDRS = (0.01, 0.05), (0.05, 0.1)
CONFIDENCE = 0.99
DRAWS = 20_000  # simulated means over all splits, from which the interval is taken
DRIFT_SPLITS = 10
SHORT = {"steps": 10, "width": 32}


@dataclass(frozen=True)
class Variant:
    """What is fitted, on which tables, and on how many splits."""

    detector: str
    parameters: dict[str, Any]
    tables: tuple[str, ...]
    splits: int


VARIANTS = {
    "denoising_gan": Variant("denoising_gan", SHORT, TABLES, 100),
    "wgan_gp": Variant("wgan_gp", SHORT, TABLES, 100),
    "denoising_gan at defaults": Variant("denoising_gan", {}, ("annthyroid",), 10),
}


class Promises(Experiment):
    """Rates over random splits."""

    name = "promises"
    help = "False alarms, false discoveries and drift over many random splits."
    axes = (names("variant", lambda _: list(VARIANTS)), names("dataset", lambda _: TABLES))
    time_limit = 3 * 3600.0

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        return [
            {"variant": name, "dataset": dataset}
            for name in chosen["variant"]
            for dataset in VARIANTS[name].tables
            if dataset in chosen["dataset"]
        ]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        variant = VARIANTS[cell["variant"]]
        return {"splits": variant.splits} | measure(data_dir, cell["dataset"], variant)

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def measure(data_dir: Path, dataset: str, variant: Variant) -> Record:
    """Return mean rates over random splits of one table, each beside the promised one, and the verdicts on drift."""
    found: dict[tuple[str, float], list[float]] = {}
    verdicts: dict[str, list[Any]] = {"normal": [], "mixed": []}
    superiority = []
    for seed in range(variant.splits):
        rng = np.random.default_rng(seed)
        split = adbench.tables(data_dir)[dataset].load(data_dir, rng, {})
        normal = rng.permutation(np.concatenate([split.train, split.test[~split.labels]]))
        anomalies = rng.permutation(split.test[split.labels])[:ANOMALIES]
        fresh, other = normal[FIT : FIT + FRESH], normal[FIT + FRESH : FIT + FRESH + FIT // 5]
        mixed = np.concatenate([fresh, anomalies])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
            detector = anogan.detector_class(variant.detector)(random_state=seed, **variant.parameters)
            detector.fit(normal[:FIT])
        rows = len(detector.calibration_.scores)
        found.setdefault(("target_fpr", RATES[0]), []).append(float((detector.predict(fresh) < 0).mean()))
        p_values = detector.p_value(fresh)
        for rate in RATES:
            found.setdefault(("p-value", rate), []).append(float((p_values <= rate).mean()))
        for fdr in FDRS:
            flagged = detector.flag(mixed, fdr)
            found.setdefault(("flag", fdr), []).append(float(flagged[:FRESH].sum() / max(flagged.sum(), 1)))
            found.setdefault(("recall", fdr), []).append(float(flagged[FRESH:].mean()))
        if seed < DRIFT_SPLITS:
            drift = detector.drift(fresh)
            superiority.append(drift.superiority)
            verdicts["normal"].append(drift.verdict)
            verdicts["mixed"].append(detector.drift(mixed).verdict)
        detector.set_params(target_fpr=RATES[1]).recalibrate(other)
        found.setdefault(("recalibrated", RATES[1]), []).append(float((detector.predict(fresh) < 0).mean()))
    promises = []
    for (promise, rate), values in found.items():
        record: Record = {"promise": promise, "rate": rate, "measured": round(float(np.mean(values)), 5)}
        if promise == "flag":
            error = float(np.std(values, ddof=1)) / len(values) ** 0.5
            record["kept"] = bool(np.mean(values) - 2.576 * error <= rate)
            record["recall"] = round(float(np.mean(found["recall", rate])), 4)
        elif promise != "recall":
            record |= expected(rows if promise != "recalibrated" else len(other), rate, len(values))
            record["kept"] = bool(record["measured"] <= record["high"])
        if promise != "recall":
            promises.append(record)
    drift_found = {
        "superiority": round(float(np.mean(superiority)), 4),
        "of_normal": dict(Counter(word.split(":")[0] for word in verdicts["normal"])),
        "of_mixed": dict(Counter(word.split(":")[0] for word in verdicts["mixed"])),
    }
    return {"promises": promises, "drift": drift_found}


def expected(calibration_rows: int, rate: float, splits: int) -> Record:
    """Return the expected mean rate over splits, and its interval of probability `CONFIDENCE`, for scores without ties.

    All orders of ``m`` calibration rows and ``n`` fresh ones are equally likely. The number of fresh rows above the
    ``j``-th largest calibration score is therefore exactly beta-binomial with parameters ``j`` and ``m + 1 - j``.
    """
    above = int(np.floor(rate * (calibration_rows + 1) + 1e-9))
    counts = betabinom(FRESH, above, calibration_rows + 1 - above)
    means = counts.rvs((DRAWS, splits), random_state=0).mean(1) / FRESH
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"expected": round(above / (calibration_rows + 1), 5), "low": round(low, 5), "high": round(high, 5)}


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    records = sorted(records, key=lambda r: list(VARIANTS).index(r["variant"]))
    rates, discoveries, drifts = [], [], []
    for r in records:
        for p in r["promises"]:
            kept = "yes" if p["kept"] else "NO"
            start = [r["variant"], r["dataset"], str(r["splits"])]
            if "expected" in p:
                interval = f"{p['low']:.4f} to {p['high']:.4f}"
                cells = [f"{p['rate']:g}", f"{p['expected']:.4f}", interval, f"{p['measured']:.4f}", kept]
                rates.append([*start, p["promise"], *cells])
            if p["promise"] == "flag":
                discoveries.append([*start, f"{p['rate']:g}", f"{p['measured']:.4f}", f"{p['recall']:.2f}", kept])
        drift = r["drift"]
        words = [", ".join(f"{word}: {n}" for word, n in drift[kind].items()) for kind in ("of_normal", "of_mixed")]
        drifts.append([r["variant"], r["dataset"], f"{drift['superiority']:.3f}", *words])
    introduction = fill(
        f"{made_by} For each split a detector learns {FIT} random normal rows, a fifth of which calibrate; {FRESH} "
        f"other normal rows are fresh. The promises hold for any training, so most trainings are short ({SHORT}). "
        "*Expected* is the rate that split-conformal calibration has on average, and the interval is where the mean "
        f"over the splits lies with a probability of {CONFIDENCE:.0%} (beta-binomial). A promise counts as kept if "
        "the mean is not above the interval. *recalibrated*: the threshold is calibrated with 400 further normal "
        "rows.",
        width=119,
    )
    rate_head = ["fitted", "data", "splits", "promise", "rate", "expected", "interval", "measured", "kept"]
    discovery_head = ["fitted", "data", "splits", "fdr", "false among the flagged", "recall", "kept"]
    drift_head = ["fitted", "data", "superiority", "fresh normal rows", "with 10 % anomalies"]
    return f"""\
# Are the promises kept?

{introduction}

{table(rate_head, rates, texts=2)}

## False discoveries: {FRESH} fresh normal rows and {ANOMALIES} of the table's anomalies

Kept unless the mean is above the rate by more than 2.576 standard errors.

{table(discovery_head, discoveries, texts=2)}

## Drift: verdicts on the fresh normal rows, and on these with the anomalies ({DRIFT_SPLITS} splits)

*Superiority*: probability that a fresh normal row scores above a calibration row; 0.5 if nothing differs.

{table(drift_head, drifts, texts=2)}"""
