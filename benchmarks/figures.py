"""Figures of the report, which are readable in black and white."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from .ranking import ALPHA, DRAWN, Ranking, pareto

matplotlib.use("agg")

_KINDS = {"gan": ("o", "black"), "pyod-gan": ("X", "white"), "deep": ("^", "white"), "classical": ("s", "white")}
_WORDS = {"gan": "GAN of this package", "pyod-gan": "PyOD's GAN", "deep": "other network", "classical": "classical"}


@dataclass(frozen=True)
class Point:
    """A detector in the figure of costs: its kind (a key of `_KINDS`), mean fit seconds, mean AUROC."""

    name: str
    kind: str
    seconds: float
    auroc: float


def critical_differences(ranking: Ranking, path: Path) -> None:
    """Mean ranks of the best on a line; a bar joins those whose difference may be chance (Wilcoxon-Holm)."""
    import scikit_posthocs

    ranks = ranking.mean_ranks[:DRAWN]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.17 * len(ranks)), layout="constrained")
    scikit_posthocs.critical_difference_diagram(
        ranks,
        ranking.pairwise_p(list(ranks.index)),
        ax=axes,
        alpha=ALPHA,
        label_fmt_left="{label}  {rank:.1f}",
        label_fmt_right="{rank:.1f}  {label}",
        label_props={"fontsize": 8},
        color_palette=dict.fromkeys(ranks.index, "black"),
        elbow_props={"linewidth": 0.8},
        crossbar_props={"color": "black", "linewidth": 1.5, "marker": "o", "markersize": 4},
        marker_props={"s": 12},
    )
    among = len(ranking.mean_ranks)
    title = f"Mean rank of AUROC among {among} detectors over {len(ranking.values)} data sets; the best {len(ranks)}"
    axes.set_title(title, fontsize=9)
    _save(figure, path)


def costs(points: Sequence[Point], path: Path) -> None:
    """Draw AUROC against the time of fitting, with the Pareto front."""
    figure, axes = pyplot.subplots(figsize=(9, 6.5), layout="constrained")
    axes.set_xscale("log")
    for kind, (marker, fill) in _KINDS.items():
        chosen = [p for p in points if p.kind == kind]
        if chosen:
            x, y = [p.seconds for p in chosen], [100 * p.auroc for p in chosen]
            axes.scatter(x, y, marker=marker, c=fill, edgecolors="black", label=_WORDS[kind], zorder=3)
    front = [points[i] for i in pareto([(p.seconds, p.auroc) for p in points])]
    axes.step([p.seconds for p in front], [100 * p.auroc for p in front], where="post", color="0.5", label="front")
    _label_at_the_margin(axes, points)
    axes.set_xlabel("seconds of fitting, mean over data sets and seeds, one thread")
    axes.set_ylabel("AUROC in %, mean over data sets")
    axes.grid(True, color="0.9")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, fontsize=8, frameon=False)
    _save(figure, path)


def _label_at_the_margin(axes: Axes, points: Sequence[Point]) -> None:
    """Draw names in a column at the right, as near to the heights of their points as possible without overlap."""
    ordered = sorted(points, key=lambda p: p.auroc)
    heights = np.array([100 * p.auroc for p in ordered])
    low, high = heights[0] - 1, heights[-1] + 1
    axes.set_ylim(low, high)
    for point, place in zip(ordered, _spread((heights - low) / (high - low)), strict=True):
        axes.annotate(
            f"{point.name} {100 * point.auroc:.1f}",
            xy=(point.seconds, 100 * point.auroc),
            xytext=(1.03, place),
            textcoords="axes fraction",
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.6, "relpos": (0, 0.5)},
        )


def _spread(places: np.ndarray, gap: float = 0.03) -> np.ndarray:
    """Return ascending positions in [0, 1], moved as little as possible so that they are `gap` apart."""
    gap = min(gap, 1 / max(1, len(places) - 1))
    steps = gap * np.arange(len(places))
    upward = np.maximum.accumulate(places - steps) + steps
    return np.minimum(upward, 1 - steps[::-1])


def _save(figure: pyplot.Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
