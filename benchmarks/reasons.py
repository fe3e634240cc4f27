"""Whether reasons are right: one known column of held-out normal rows is corrupted, and must be named first."""

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd

import anogan
from anogan import protocol

from .cell import Record
from .datasets import Generator, datasets_of

TRAIN, ROWS = 2000, 300  # normal rows, at most
DRAWN = 20  # other rows, the most different of whose values is taken
SHIFT = 4.0  # standard deviations
NOTICED = 0.05  # p-value of a row whose corruption the detector has noticed
LOOKED_AT = ("annthyroid", "pendigits", "Waveform")  # tables on which the method of attribution was chosen
TABLES = (*LOOKED_AT, "breastw", "cardio", "landsat", "magic.gamma", "Pima", "SpamBase", "Wilt", "yeast", "nsl-kdd")
DETECTORS = ("denoising_gan", "wgan_gp", "ganomaly", "skip_ganomaly", "pix2pix_inpainting", "f_anogan")


def normal_rows(data_dir: Path, name: str, rng: Generator) -> pd.DataFrame:
    """The normal rows of a table in random order; of NSL-KDD those of the training file."""
    if name == "nsl-kdd":
        table = datasets_of("intrusion", data_dir)[name].load(data_dir, rng, {}).train
    else:
        split = datasets_of("tabular", data_dir)[name].load(data_dir, rng, {"max_rows": 10**9})
        table = pd.DataFrame(np.concatenate([split.train, split.test[~split.labels]])).add_prefix("x")
    return protocol.take(table, rng.permutation(len(table))).reset_index(drop=True)


def swapped(train: pd.DataFrame, value: object, name: str, rng: Generator) -> object:
    """The most different value of this column in some random rows; of categories any other one."""
    others = train[name].iloc[rng.choice(len(train), DRAWN)]
    if pd.api.types.is_numeric_dtype(others):
        return others.iloc[int((others - value).abs().argmax())]
    return next((other for other in others if other != value), value)


def shifted(train: pd.DataFrame, value: object, name: str, _: Generator) -> object:
    """Some standard deviations farther from the mean; a category stays as it is."""
    column = train[name]
    if not pd.api.types.is_numeric_dtype(column):
        return value
    away = 1 if float(value) >= column.mean() else -1  # type: ignore[arg-type]
    return float(value) + away * SHIFT * column.std()  # type: ignore[arg-type]


CORRUPTIONS: dict[str, Callable[..., object]] = {"swap": swapped, "shift": shifted}


def corrupted(train: pd.DataFrame, rows: pd.DataFrame, kind: str, rng: Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with one column changed, and the names of these columns; rows that it leaves as they are are left out."""
    varied = [name for name in train if train[name].nunique() > 1]
    changed = rows.astype({name: float for name in rows if pd.api.types.is_numeric_dtype(rows[name])})
    columns = rng.choice(varied, len(rows))
    for row, name in enumerate(columns):
        changed.loc[row, name] = CORRUPTIONS[kind](train, rows.loc[row, name], name, rng)
    kept = np.array([changed.loc[row, name] != rows.loc[row, name] for row, name in enumerate(columns)])
    return changed[kept], columns[kept]


def run(data_dir: Path, datasets: list[str], detectors: list[str], seeds: list[int]) -> Iterator[Record]:
    """Every detector on every table with each corruption; the seed is that of split, corruption and detector."""
    for dataset in datasets:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            normal = normal_rows(data_dir, dataset, rng)
            half = min(len(normal) // 2, TRAIN)
            train, held_out = normal[:half], normal[half : half + ROWS].reset_index(drop=True)
            found = {kind: corrupted(train, held_out, kind, rng) for kind in CORRUPTIONS}
            for name in detectors:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", anogan.TrainingHealthWarning)
                    warnings.simplefilter("ignore", anogan.CalibrationWarning)
                    detector = anogan.detector_class(name)(random_state=seed).fit(train)
                for kind, (rows, columns) in found.items():
                    measured = measure(detector, rows, columns)
                    yield {"dataset": dataset, "detector": name, "seed": seed, "corruption": kind} | measured


def measure(detector: anogan.Detector, rows: pd.DataFrame, columns: np.ndarray) -> Record:
    """How often the corrupted column is named first, and among the first three."""
    began = time.perf_counter()
    named = detector.reasons(rows, 3)
    seconds = time.perf_counter() - began
    right = named["column"].to_numpy() == columns[named["row"]]
    first, of_three = (np.zeros(len(rows), dtype=bool) for _ in range(2))
    first[named["row"][right & (named["rank"] == 1)]] = True
    of_three[named["row"][right]] = True
    noticed = detector.p_value(rows) <= NOTICED
    return {
        "columns": rows.shape[1],
        "rows": len(rows),
        "first": round(float(first.mean()), 4),
        "of_three": round(float(of_three.mean()), 4),
        "noticed": round(float(noticed.mean()), 4),
        "first_of_noticed": round(float(first[noticed].mean()), 4) if noticed.any() else None,
        "ms_per_row": round(1000 * seconds / len(rows), 3),
    }


def report(records: list[Record]) -> str:
    """The tables; the newest record of each measurement counts."""
    records = list({(r["dataset"], r["detector"], r["seed"], r["corruption"]): r for r in records}.values())
    lines = [
        "# Is the right column named?",
        "",
        fill(
            f"Made by `python -m benchmarks reasons`. Each detector learns at most {TRAIN} normal rows at its "
            f"defaults. In each of at most {ROWS} held-out normal rows one random column (of those that vary) is then "
            f"changed: *swap* takes the most different of the values that {DRAWN} random training rows have there (of "
            f"categories another one), *shift* adds {SHIFT:g} standard deviations, away from the mean. Rows that this "
            "leaves as they are are left out. Given is the share of rows, in %, whose corrupted column `reasons` "
            f"names first; *of noticed* counts only those with a p-value of at most {NOTICED:g}: a swapped value may "
            "be normal there, so nobody could tell.",
            width=119,
        ),
        "",
        "The method (`anogan.explain.attribution.occlusion`) was chosen while looking at " + ", ".join(LOOKED_AT) + ".",
        "",
    ]
    for title, datasets in (
        ("All tables", list(TABLES)),
        ("Tables that were not looked at", [name for name in TABLES if name not in LOOKED_AT]),
    ):
        lines += _means(title, [r for r in records if r["dataset"] in datasets])
    lines += [
        "## One by one",
        "",
        "| data | columns | corruption | " + " | ".join(DETECTORS) + " |",
        "| --- | ---: | --- | " + "---: | " * len(DETECTORS),
    ]
    for dataset, columns, kind in dict.fromkeys((r["dataset"], r["columns"], r["corruption"]) for r in records):
        here = [r for r in records if (r["dataset"], r["corruption"]) == (dataset, kind)]
        cells = [_percent([r["first"] for r in here if r["detector"] == name]) for name in DETECTORS]
        lines.append(f"| {dataset} | {columns} | {kind} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _means(title: str, records: list[Record]) -> list[str]:
    lines = [
        f"## {title}: {len({r['dataset'] for r in records})}, mean",
        "",
        "| detector | swap | of noticed | noticed | shift | of noticed | noticed | both | among three | ms per row |",
        "| --- | " + "---: | " * 9,
    ]
    for name in dict.fromkeys(r["detector"] for r in records):
        of_this = [r for r in records if r["detector"] == name]
        cells = []
        for kind in CORRUPTIONS:
            here = [r for r in of_this if r["corruption"] == kind]
            noticed = [r["first_of_noticed"] for r in here if r["first_of_noticed"] is not None]
            cells += [
                _percent([r["first"] for r in here]),
                _percent(noticed),
                _percent([r["noticed"] for r in here]),
            ]
        cells += [_percent([r["first"] for r in of_this]), _percent([r["of_three"] for r in of_this])]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.mean([r['ms_per_row'] for r in of_this]):.2f} |")
    return [*lines, ""]


def _percent(shares: list[float]) -> str:
    return f"{100 * np.mean(shares):.1f}" if shares else ""
