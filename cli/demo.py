"""`anogan demo`: fit, score and compare on two real data sets that ship with scikit-learn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import anogan
from anogan import writing

from . import options
from .output import reserve
from .progress import Reporter

OTHER_DETECTOR = "wgan_gp"  # beside the default one
CLASSICAL = {"isolation forest": "iforest", "nearest neighbours": "knn"}
DIGIT = 0  # the digit that is normal
# About a hundred training rows are too few to guarantee a false-alarm rate of 1 %; 30 % of them suffice for 5 %.
_PROMISE = {"target_fpr": 0.05, "calibration_fraction": 0.3}
_STRIP = 8  # pictures in the strip of top anomalies
_LINES = ("solid", "dashed", "dotted", "dashdot")


@dataclass
class Part:
    """One data set of the demo and the results on it.

    Attributes
    ----------
    split : Split
        Training and test rows, and which test rows are anomalous.
    plain : (array (n, d), array (m, d))
        Training and test rows for the classical detectors.
    scores : dict of str to (n,) array
        Scores of the test rows by method, filled by `run`.
    """

    name: str
    what: str
    split: anogan.protocol.Split
    plain: tuple[np.ndarray, np.ndarray]
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    detectors: dict[str, Any] = field(default_factory=dict)


@click.command(epilog=options.examples("anogan demo", "anogan demo -o results"))
@click.option("-o", "--output", default="anogan-demo", show_default=True, metavar="DIR", help="Folder for the results.")
@options.quiet_option
def command(output: str, quiet: bool) -> None:
    """Fit, score and compare on two data sets that ship with scikit-learn.

    Breast cancer: the methods are fitted on half of the benign rows and score the other half and the malignant
    rows. Digits: they are fitted on half of the pictures of one digit and score the other half and the other
    digits. Two GAN detectors are compared with an isolation forest and nearest neighbours. Each data set gets a
    CSV file with the scores and a PNG file with a figure in DIR. The detectors have their default parameters,
    except for a false-alarm rate of 5 %.
    """
    reserve(output, folder=True)
    folder = Path(output)
    began = time.perf_counter()
    written: list[Path] = []
    for make in (breast_cancer, digits):
        part = make()
        with Reporter(quiet=quiet) as reporter:
            run(part, reporter)
        written += [folder / f"{part.name}_scores.csv", folder / f"{part.name}.png"]
        write_scores(part, written[-2])
        draw(part, written[-1])
        if not quiet:
            _print(part)
    if not quiet:
        click.echo(f"{time.perf_counter() - began:.0f} s; written: {', '.join(str(path) for path in written)}")


def breast_cancer() -> Part:
    """Return the breast cancer data: tumour measurements, of which the benign ones are normal."""
    from sklearn.datasets import load_breast_cancer

    table, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    return _part("breast_cancer", "{} benign rows for training, 30 measurements each", table, benign.to_numpy() == 0)


def digits() -> Part:
    """Return the digits data: 8x8 pictures of handwritten digits, of which one digit is normal."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = (bunch.images[:, None] / 16.0).astype(np.float32)  # (n, 1, 8, 8) in [0, 1]
    what = f"{{}} pictures of the digit {DIGIT} for training, 8x8 pixels each"
    return _part("digits", what, pictures, bunch.target != DIGIT)


def _part(name: str, what: str, X: Any, anomalous: np.ndarray) -> Part:
    split = anogan.protocol.PROTOCOLS["semi"].apply(X, anomalous, np.random.default_rng(0))
    what = f"{name.replace('_', ' ')}: {what.format(len(split.train))}"
    return Part(name, what, split, anogan.protocol.encoded(split.train, split.test))


def run(part: Part, reporter: Reporter) -> None:
    """Fit every method and score the test rows."""
    train, test = part.split.train, part.split.test
    for name in (anogan.default_detector(train), OTHER_DETECTOR):
        began = time.perf_counter()
        detector = anogan.baselines.build(name, _PROMISE, n_features=0, seed=0)
        detector.fit(train, callbacks=(reporter,))
        part.scores[name] = detector.anomaly_score(test)
        part.detectors[name] = detector
        part.seconds[name] = time.perf_counter() - began
    for title, name in CLASSICAL.items():
        baseline = anogan.baselines.build(name, {}, n_features=0, seed=0)
        outcome = anogan.protocol.run(baseline, *part.plain, seed=0)
        part.scores[title] = outcome.scores
        part.seconds[title] = outcome.fit_s + outcome.score_s


def write_scores(part: Part, path: Path) -> None:
    """Write one line per test row: its label, the score of every method, p-values and flags of the detectors."""
    columns: dict[str, Any] = {"row": np.arange(len(part.split.labels)), "anomalous": part.split.labels}
    for name, scores in part.scores.items():
        columns[f"{name.replace(' ', '_')}_score"] = scores
        if name in part.detectors:
            calibration = part.detectors[name].calibration_
            columns[f"{name}_p_value"] = calibration.p_value(scores)
            columns[f"{name}_flag"] = scores > calibration.threshold
    table = pa.table(columns)
    with writing.table_writer(str(path), table.schema) as writer:
        writer.write(table)


def _print(part: Part) -> None:
    console = Console(highlight=False, markup=False)
    table = Table(
        "method",
        "AUROC",
        "95 % interval",
        "AUPR",
        "recall",
        "false alarms",
        "seconds",
        box=None,
        pad_edge=False,
    )
    for name, scores in part.scores.items():
        ranking = anogan.metrics.Ranking.of(part.split.labels, scores)
        low, high = anogan.metrics.bootstrap_interval(anogan.metrics.Ranking.auroc, part.split.labels, scores)
        recall = alarms = "-"
        if name in part.detectors:
            flags = scores > part.detectors[name].calibration_.threshold
            recall, alarms = f"{flags[part.split.labels].mean():.3f}", f"{flags[~part.split.labels].mean():.3f}"
        table.add_row(
            name,
            f"{float(ranking.auroc()):.3f}",
            f"{low:.3f} - {high:.3f}",
            f"{float(ranking.aupr()):.3f}",
            recall,
            alarms,
            f"{part.seconds[name]:.1f}",
        )
    count = int(part.split.labels.sum())
    console.print(f"{part.what}; {len(part.split.labels) - count} normal and {count} anomalous ones for testing")
    console.print(table)
    console.print()


def draw(part: Part, path: Path) -> None:
    """Draw score distributions and ROC curves, and for pictures the top anomalies with their maps.

    The figure can be read in grey.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from sklearn.metrics import RocCurveDisplay

    is_image = isinstance(part.split.test, np.ndarray)
    figure = Figure(figsize=(13, 6.4 if is_image else 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    upper: Any = figure
    if is_image:
        halves: Any = figure.subfigures(2, 1, height_ratios=(3, 2))
        upper = halves[0]
        _draw_strip(halves[1], part)
    axes = upper.subplots(1, len(part.detectors) + 1)
    for ax, (name, detector) in zip(axes, part.detectors.items(), strict=False):
        threshold = detector.calibration_.threshold
        anogan.ScoreDisplay(part.scores[name], threshold=threshold, anomalous=part.split.labels, name=name).plot(ax)
    for (name, scores), style in zip(part.scores.items(), _LINES, strict=True):
        line = {"color": "black" if name in part.detectors else "0.45", "linestyle": style}
        RocCurveDisplay.from_predictions(part.split.labels, scores, name=name, ax=axes[-1]).line_.set(**line)
    axes[-1].legend(loc="lower right")
    axes[-1].set(title="ROC (area)", xlabel="false alarms", ylabel="recall", xlim=(-0.01, 1), ylim=(0, 1.01))
    with writing.written_whole(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _draw_strip(figure: Any, part: Part) -> None:
    name, detector = next(iter(part.detectors.items()))
    rows = np.argsort(-part.scores[name])[:_STRIP]
    shown = part.split.test[rows]
    maps = anogan.metrics.pixel_maps(detector.explain(shown))  # (n, 8, 8)
    axes = figure.subplots(2, _STRIP)
    for column, (row, picture, values) in enumerate(zip(rows, shown, maps, strict=True)):
        axes[0, column].imshow(picture[0], cmap="gray", vmin=0, vmax=1)
        anogan.AnomalyMapDisplay(picture, values).plot(axes[1, column])
        axes[0, column].set_title(f"{part.scores[name][row]:.3g}" + ("" if part.split.labels[row] else " (normal)"))
        axes[0, column].set(xticks=[], yticks=[])
    figure.suptitle(f"Highest scores of {name}, and where the error lies")
