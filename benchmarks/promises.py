"""Whether the promised rates are kept on real tables: of false alarms, p-values, false discoveries, and drift."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from scipy.stats import betabinom

import anogan

from .cell import Record
from .datasets import datasets_of

TABLES = ("annthyroid", "landsat", "magic.gamma", "pendigits", "Waveform")
FIT, FRESH, ANOMALIES = 2000, 900, 100  # rows of a split
RATES, FDRS = (0.01, 0.05), (0.05, 0.1)
CONFIDENCE = 0.99
DRAWS = 20_000  # of the mean rate over all splits, which give its interval
DRIFT_SPLITS = 10
SHORT = {"steps": 10, "width": 32}


@dataclass(frozen=True)
class Variant:
    """What is fitted, on which tables, how often."""

    detector: str
    parameters: dict[str, Any]
    tables: tuple[str, ...]
    splits: int


VARIANTS = {
    "denoising_gan": Variant("denoising_gan", SHORT, TABLES, 100),
    "wgan_gp": Variant("wgan_gp", SHORT, TABLES, 100),
    "denoising_gan at defaults": Variant("denoising_gan", {}, ("annthyroid",), 10),
}


def run(data_dir: Path, variants: list[str]) -> Iterator[Record]:
    """The records of every variant on each of its tables."""
    for name in variants:
        for table in VARIANTS[name].tables:
            for record in measure(data_dir, table, VARIANTS[name]):
                yield {"variant": name, "dataset": table, "splits": VARIANTS[name].splits} | record


def measure(data_dir: Path, table: str, variant: Variant) -> Iterator[Record]:
    """Mean rates over random splits of one table, each beside what was promised."""
    found: dict[tuple[str, float], list[float]] = {}
    verdicts: dict[str, list[Any]] = {"normal": [], "mixed": []}
    superiority = []
    for seed in range(variant.splits):
        rng = np.random.default_rng(seed)
        split = datasets_of("tabular", data_dir)[table].load(data_dir, rng, {"max_rows": 10**9})
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
            yield record
    yield {
        "promise": "drift",
        "superiority": round(float(np.mean(superiority)), 4),
        "of_normal": dict(Counter(word.split(":")[0] for word in verdicts["normal"])),
        "of_mixed": dict(Counter(word.split(":")[0] for word in verdicts["mixed"])),
    }


def expected(calibration_rows: int, rate: float, splits: int) -> Record:
    """The mean rate over splits, and where it lies with a probability of `CONFIDENCE`, if scores have no ties.

    Of ``m`` calibration rows and ``n`` fresh ones all orders are equally likely. So the number of fresh rows above the
    ``j``-th largest calibration score is beta-binomial with parameters ``j`` and ``m + 1 - j``, exactly.
    """
    above = int(np.floor(rate * (calibration_rows + 1) + 1e-9))
    counts = betabinom(FRESH, above, calibration_rows + 1 - above)
    means = counts.rvs((DRAWS, splits), random_state=0).mean(1) / FRESH
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"expected": round(above / (calibration_rows + 1), 5), "low": round(low, 5), "high": round(high, 5)}


def report(records: list[Record]) -> str:
    """The tables; the newest record of each measurement counts."""
    records = list({(r["variant"], r["dataset"], r["promise"], r.get("rate")): r for r in records}.values())
    lines = [
        "# Are the promises kept?",
        "",
        fill(
            f"Made by `python -m benchmarks promises`. For each split a detector learns {FIT} random normal rows, "
            f"a fifth of which calibrate; {FRESH} other normal rows are fresh. The promises hold for any training, "
            f"so most trainings are short ({SHORT}). *Expected* is the rate that split-conformal calibration has "
            "on average, and the interval is where the mean over the splits lies with a probability of "
            f"{CONFIDENCE:.0%} (beta-binomial). A promise counts as kept if the mean is not above it. "
            "*recalibrated*: threshold set anew with 400 further normal rows.",
            width=119,
        ),
        "",
        "| what was fitted | data | splits | promise | rate | expected | interval | measured | kept |",
        "| --- | --- | ---: | --- | ---: | ---: | --- | ---: | --- |",
    ]
    for r in records:
        if "expected" in r:
            cells = f"{r['rate']:g} | {r['expected']:.4f} | {r['low']:.4f} to {r['high']:.4f} | {r['measured']:.4f}"
            kept = "yes" if r["kept"] else "NO"
            lines.append(f"| {r['variant']} | {r['dataset']} | {r['splits']} | {r['promise']} | {cells} | {kept} |")
    lines += [
        "",
        f"## False discoveries: {FRESH} fresh normal rows and {ANOMALIES} of the table's anomalies",
        "",
        "Kept unless the mean is above the rate by more than 2.576 standard errors.",
        "",
        "| what was fitted | data | splits | fdr | false among the flagged | recall | kept |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for r in records:
        if r["promise"] == "flag":
            cells = f"{r['rate']:g} | {r['measured']:.4f} | {r['recall']:.2f} | {'yes' if r['kept'] else 'NO'}"
            lines.append(f"| {r['variant']} | {r['dataset']} | {r['splits']} | {cells} |")
    lines += [
        "",
        f"## Drift: what is said of the fresh normal rows, and of them with the anomalies ({DRIFT_SPLITS} splits)",
        "",
        "*Superiority*: probability that a fresh normal row scores above a calibration row; 0.5 if nothing differs.",
        "",
        "| what was fitted | data | superiority | fresh normal rows | with 10 % anomalies |",
        "| --- | --- | ---: | --- | --- |",
    ]
    for r in records:
        if r["promise"] == "drift":
            words = [", ".join(f"{word}: {n}" for word, n in r[kind].items()) for kind in ("of_normal", "of_mixed")]
            lines.append(f"| {r['variant']} | {r['dataset']} | {r['superiority']:.3f} | {words[0]} | {words[1]} |")
    return "\n".join([*lines, ""])
