"""`anogan compare`: compare GANs with classical detectors on the user's own labelled data."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from statistics import fmean, stdev
from typing import Any

import click
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import anogan
from anogan import ArrayFile, InputError, PictureSource, TableFile, labels, writing

from . import options
from .output import reserve, to_json, warn
from .progress import Reporter

CLASSICAL = "knn,lof,iforest,ocsvm,ecod"
DETECTORS = {
    "denoising_gan": f"denoising_gan,wgan_gp,ganomaly,skip_ganomaly,{CLASSICAL}",
    "feature_gan": f"feature_gan,{CLASSICAL}",
}
"""Default detector of data of a kind -> what is compared by default."""
METRICS = {"auroc": "AUROC", "aupr": "AUPR", "f1_at_count": "F1", "fpr95": "FPR95"}
SECONDS = {"fit_s": "fit s", "score_s": "score s"}


@click.command(
    epilog=options.examples(
        "anogan compare labelled.csv --label kind --normal ok",
        "anogan compare labelled.npz --normal 0 --detectors denoising_gan,knn,iforest --seeds 5",
        "anogan compare pictures/ --normal OK",
    )
)
@options.data_argument
@click.option("--label", metavar="COLUMN", help="The column with the labels, or y for a .npz file.")
@options.normal_option
@click.option(
    "--detectors",
    metavar="NAMES",
    shell_complete=options.complete_detectors,
    help="The detectors, separated by commas: names (see `anogan list` and `anogan list --baselines`), gans, fast "
    "(GANs and classical baselines), all, or import paths of PyOD or scikit-learn detectors such as "
    f"sklearn.svm.OneClassSVM.  [default: {DETECTORS['denoising_gan']}; for pictures {DETECTORS['feature_gan']}]",
)
@click.option(
    "--protocol",
    "protocol_name",
    type=click.Choice(["semi", "contaminated"]),
    default="semi",
    show_default=True,
    help="semi: the training rows are a random half of the normal rows. contaminated: 5 % of the training "
    "rows are anomalies, but at most half of all anomalies.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of random splits; every detector is fitted once on each.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(20),
    default=20_000,
    show_default=True,
    help="Use at most this many rows, sampled at random with the share of anomalies kept.",
)
@options.drop_option
@options.dialect_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the results, one line per detector and seed, to this .csv, .tsv or .parquet file.",
)
@options.json_option
@options.quiet_option
def command(
    data: options.Data,
    label: str | None,
    normal: str | None,
    detectors: str | None,
    protocol_name: str,
    seeds: int,
    max_rows: int,
    drop: tuple[str, ...],
    dialect: Any,
    output: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare detectors on labelled DATA: a table with a --label column, a .npz file with X and y, or pictures.

    Pictures lie in folders such as OK and NG. Each of this package's detectors reads them at its own size, and the
    others get 64x64 pixels.

    Every detector is fitted on the same training rows and scores the same test rows, once per seed, with its
    default parameters. Detectors that do not preprocess their input get standardised numbers and one-hot
    categories, fitted on the training rows. Detectors whose cost grows with the square of the number of rows are
    fitted on at most 20,000 rows. The labels are used only for the split and for the metrics; no detector sees
    them. Networks use all cores, most other detectors use one.
    """
    if detectors is not None and "." in detectors:
        sys.path.append(os.getcwd())  # an import path may name a module in the working directory
    names = [] if detectors is None else anogan.baselines.chosen(detectors)
    if output is not None:
        reserve(output, data, table=True)
    X, anomalous = _read(data, label, normal, drop, dialect)
    names = names or anogan.baselines.chosen(DETECTORS[anogan.default_detector(X)])
    anogan.protocol.warm_up(names)
    records = []
    with Reporter(quiet=quiet) as reporter:
        reporter.begin("comparing", seeds * len(names))
        for seed in range(seeds):
            split = anogan.protocol.PROTOCOLS[protocol_name].apply(X, anomalous, np.random.default_rng(seed), max_rows)
            split = _without_new_gaps(split, seed)
            plain = anogan.protocol.encoded(split.train, split.test)
            for name in names:
                records.append(_measured(name, split, plain, seed))
                reporter.advance()
    facts: dict[str, Any] = {
        "data": str(data),
        "unit": "picture" if isinstance(X, anogan.ImageFolder) else "row",
        "rows": len(anomalous),
        "sampled": min(len(anomalous), max_rows),
        "protocol": protocol_name,
        "seeds": seeds,
        "n_train": len(split.train),
        "n_test": len(split.test),
        "anomalous": int(split.labels.sum()),
        "detectors": _summarised(records),
    }
    if not any("auroc" in record for record in records):
        raise anogan.AnoganError(f"Every detector failed; the first error was: {records[0]['error']}")
    if output is not None:
        _write(records, output)
    if as_json:
        click.echo(to_json(facts), err=output == "-")
    elif not quiet:
        _print(facts, err=output == "-")
    for row in facts["detectors"]:
        _warn_of(row, seeds)


def _read(
    data: options.Data, label: str | None, normal: str | None, drop: tuple[str, ...], dialect: Any
) -> tuple[Any, np.ndarray]:
    source = anogan.open_source(data, part="train", dialect=dialect)
    if isinstance(source, ArrayFile):
        if source.labels is None or label not in (None, "y"):
            raise InputError(f"{data} has no labels '{label or 'y'}'; in a .npz file they are under the key y.")
        if drop:
            raise InputError(f"--drop names columns of a table, but {data} is not a table.")
        return source.read(), labels.anomalous_rows(source.labels, normal, str(data))
    if isinstance(source, PictureSource):
        if label is not None or drop:
            raise InputError(f"--label and --drop name columns of a table, but {data} holds pictures.")
        return source.with_normal(normal).layout.labelled_pictures()
    if not isinstance(source, TableFile):
        raise InputError(f"{data} is {source.description()}, but compare needs a table, a .npz file or pictures.")
    if label is None:
        raise InputError(f"--label COLUMN is needed: it says which rows of {data} are anomalous.")
    for column in (label, *drop):
        source.check_column(column)
    if label in drop:
        raise InputError(f"--drop {label}: this column holds the labels and cannot be left out.")
    source = source.selecting(drop=drop, text=(label,))
    table = source.read()
    if table.num_columns == 1:
        raise InputError(f"{data} has no columns left other than '{label}'.")
    texts = labels.label_texts(table.column(label), label, source.path)
    return source.frame(table.drop_columns([label])), labels.anomalous_rows(texts, normal, str(data))


def _without_new_gaps(split: anogan.protocol.Split, seed: int) -> anogan.protocol.Split:
    """Fill missing values of columns that have them only in test rows, because detectors reject those."""
    train, test = split.train, split.test
    if not hasattr(train, "iloc"):
        return split
    new = [c for c in train.columns if test[c].isna().any() and not train[c].isna().any()]
    if not new:
        return split
    warn(
        f"split {seed}: only test rows have missing values in {', '.join(map(str, new))}; they are filled with the "
        "median or the most common value."
    )
    usual = {c: train[c].median() if train[c].dtype.kind == "f" else train[c].mode()[0] for c in new}
    return anogan.protocol.Split(train, test.fillna(usual), split.labels)


def _measured(
    name: str, split: anogan.protocol.Split, plain: tuple[np.ndarray, np.ndarray], seed: int
) -> dict[str, Any]:
    """Return the metrics and seconds of one detector on one split, or the ``error`` with which it failed."""
    train, test = (split.train, split.test) if anogan.baselines.is_ours(name) else plain
    train = anogan.protocol.take(train, anogan.baselines.training_rows(name, len(train)))
    record: dict[str, Any] = {"detector": name, "seed": seed}
    try:
        detector = anogan.baselines.build(name, {}, n_features=train.shape[1], seed=seed)
        outcome = anogan.protocol.run(detector, train, test, seed)
        record |= anogan.protocol.quality(split.labels, outcome.scores)
    except Exception as error:  # a detector that fails must not lose the results of the others
        return record | {"error": f"{type(error).__name__}: {error}"}
    if anogan.baselines.is_ours(name):
        record["healthy"] = detector.diagnosis_.healthy
    return record | {"fit_s": outcome.fit_s, "score_s": outcome.score_s}


def _summarised(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation over seeds of each detector, best AUROC first, failed detectors last."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["detector"]].append(record)
    rows = []
    for name, group in groups.items():
        good = [record for record in group if "error" not in record]
        row: dict[str, Any] = {"detector": name, "ours": anogan.baselines.is_ours(name), "seeds": len(good)}
        for metric in (*METRICS, *SECONDS) if good else ():
            values = [record[metric] for record in good]
            row[metric] = {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None}
        errors = [record["error"] for record in group if "error" in record]
        row |= {"failed": len(errors), "unhealthy": sum(not record.get("healthy", True) for record in good)}
        rows.append(row | ({"error": errors[0]} if errors else {}))
    return sorted(rows, key=lambda row: -row["auroc"]["mean"] if "auroc" in row else 0.0)


def _print(facts: dict[str, Any], *, err: bool) -> None:
    console = Console(highlight=False, markup=False, stderr=err)
    several = facts["seeds"] > 1
    console.print(
        anogan.summary.counted(facts["rows"], facts["unit"])
        + (f", of which {facts['sampled']:,} random ones are used" if facts["sampled"] < facts["rows"] else "")
        + f": {facts['n_train']:,} train, {facts['n_test']:,} test, {facts['anomalous']:,} of them anomalous"
        + (f"; {facts['seeds']} splits. Means in %, ± standard deviation over splits. " if several else ". In %. ")
        + "F1 flags as many rows as there are anomalies. FPR95 is the false-alarm rate at a recall of 95 %.",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("detector", overflow="fold")
    for title in (METRICS | SECONDS).values():
        table.add_column(title, justify="right")
    for row in facts["detectors"]:
        if "auroc" in row:
            table.add_row(row["detector"], *(_cell(metric, row[metric]) for metric in METRICS | SECONDS))
    console.print(table)


def _warn_of(row: dict[str, Any], seeds: int) -> None:
    if row["failed"]:
        warn(f"{row['detector']} failed on {row['failed']} of {seeds} splits: {' '.join(row['error'].split())[:300]}")
    if row["unhealthy"]:
        warn(f"{row['detector']} trained badly on {row['unhealthy']} of {seeds} splits; `anogan fit` says why.")


def _cell(metric: str, value: dict[str, float | None]) -> str:
    mean, sd = value["mean"] or 0.0, value["sd"]
    if metric in SECONDS:
        return f"{mean:.2f}"
    return f"{100 * mean:.1f}" + ("" if sd is None else f" ± {100 * sd:.1f}")


def _write(records: list[dict[str, Any]], output: str) -> None:
    columns = ("detector", "seed", *METRICS, *SECONDS, "error")
    table = pa.table({name: pa.array([record.get(name) for record in records]) for name in columns})
    with writing.table_writer(output, table.schema) as writer:
        writer.write(table)
