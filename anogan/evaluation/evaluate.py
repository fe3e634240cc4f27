"""Measuring a fitted detector on labelled data."""

from __future__ import annotations

import operator
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.digests import WITHOUT
from ..errors import CalibrationWarning, InputError
from ..sources.holdout import Holdout
from ..sources.labelled import LabelledFolder
from ..sources.labels import label_text
from ..sources.notes import in_words_of
from ..sources.periods import group_names, split_period
from ..sources.pictures import PictureSource
from ..sources.source import Chunk
from ..sources.table import TableFile
from ..streams.progress import Progress, report
from ..streams.stream import Stream
from ..wording import counted
from .metrics import PixelCurve, Ranking, auroc, bootstrap_interval, pixel_maps, resized_map

_KINDS_LISTED = 50
_LISTED = 5
_FIRST_K = (10, 100)
_MOST_GROUPS = 1000
_SAME_FILE = 0.99  # share of the rows of the fit that are found again in their file
_FEW_REPEATED = 0.05  # share of repeated rows up to which the rows that equal none of the fit are like all new rows


def evaluate(
    detector: Any,
    X: Any,
    y: Any = None,
    *,
    normal: str | float | None = None,
    by: Any = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how well a fitted detector ranks and flags labelled data.

    Parameters
    ----------
    detector : fitted Detector
    X : array, DataFrame, ImageFolder, path, Source or Stream
        The data. A stream with labels, or a folder of pictures whose folders are labels (see `LabelledFolder`), needs
        no y. The anomaly maps are compared with the masks of such a folder;
        masks that cannot be right, such as inverted ones, are left out with a warning.
    y : (n,) array-like, optional
        Labels: 0 or false for normal rows and 1 or true for anomalous ones, or any if `normal` is given.
    normal : str or number, optional
        The label of normal rows, or the name of the folders of normal pictures; all others are anomalous.
    by : str or (n,) array-like, optional
        Groups that are also measured each by itself: a column of a table file, such as
        ``"shop"``, or with a period of its dates, such as ``"day:month"``; or the group of each row.
    progress : function of (str, int, int or None), optional
        Called after each part with what is being done, how many rows are done, and how many there are.

    Returns
    -------
    dict
        Plain numbers, ready for JSON. ``rows`` and ``anomalous`` are counts; ``unit`` says whether they count rows or
        pictures. ``metrics`` has for AUROC, AUPR, precision
        at k (k = number of anomalies, 10, 100) and FPR at 95 % recall the ``value`` and the ends ``low`` and ``high``
        of its 95 % bootstrap interval (rows drawn within each class, the model kept fixed). ``at_threshold`` has
        recall, precision and false-alarm rate at the detector's own threshold. ``kinds`` has the AUROC of each kind of
        anomaly if there are several. ``pixels``, with masks, has the pixel AUROC and the AUPRO up to an FPR of 0.3.

        ``fitted_on`` is None, or says how many ``rows`` and how many ``normal`` ones were part of the fit, which makes
        the figures too good, and whether these numbers are ``estimated``; it is also None, with a warning, if the
        detector was fitted with ``keep_rows=0`` and so does not know its rows. ``reversed`` says whether the AUROC and
        its interval are below 0.5, as if normal and anomalous were exchanged. ``held_out`` has the metrics of the
        other rows, if they are of both kinds. ``groups``, with `by`, is a list with the ``group``, ``rows``,
        ``anomalous``, ``flagged``, ``recall``, ``fpr``, ``auroc`` and ``aupr`` of each; what needs another kind of
        rows is None.

    Raises
    ------
    InputError
        If there are no labels, they do not say which rows are normal, or all rows are of one kind.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> rng = np.random.default_rng(0)
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(rng.normal(size=(100, 2)))
    >>> X = np.concatenate([rng.normal(size=(20, 2)), rng.normal(9.0, size=(20, 2))])
    >>> found = anogan.evaluate(detector, X, np.repeat([0, 1], 20))
    >>> found["rows"], found["anomalous"], found["metrics"]["auroc"]["value"] > 0.9
    (40, 20, True)
    """
    stream, normal = Stream.of(detector, X, y), label_text(normal)
    is_image = detector.preprocessor_.spec_.is_image
    pixels = None
    if isinstance(stream.source, PictureSource):
        stream.source = stream.source.with_normal(normal)
        pixels = _PixelScores(stream.source.layout)
    groups = None if by is None else _groups(stream.source, by)
    scores, labels, known = _scored(stream, pixels, progress)
    if labels is None:
        raise InputError(f"{stream.source.name} has no labels; without them nothing can be measured.")
    if pixels is not None:
        scores, labels, known = _in_labelled_folders(pixels.layout, scores, labels, known)
    anomalous = stream.anomalous(labels, normal)
    if known is None:
        message = f"{WITHOUT[0].upper()}{WITHOUT[1:]}their figures are too good."
        warnings.warn(in_words_of(message, is_image=is_image), CalibrationWarning, stacklevel=2)
    found = measure(detector, scores, anomalous)
    found["kinds"] = per_kind(scores, labels, anomalous)
    found["unit"] = "picture" if is_image else "row"
    found["reversed"] = found["metrics"]["auroc"]["high"] < 0.5
    held_out = held_out_rows(detector, stream.source, known)
    found["fitted_on"], new = rows_of_the_fit(detector, known, anomalous, held_out)
    if new is not None:
        found["held_out"] = measure(detector, scores[new], anomalous[new])
    if groups is not None:
        found["groups"] = per_group(detector, scores, anomalous, groups)
    if pixels is not None:
        found |= pixels.facts()
        for kind, entry in found["kinds"].items():
            entry |= pixels.facts_of(kind)
    return found


def measure(detector: Any, scores: np.ndarray, anomalous: np.ndarray) -> dict[str, Any]:
    """Return every metric of a ranking with its interval, and the results at the detector's threshold.

    Parameters
    ----------
    detector : fitted Detector
    scores : (n,) float64
        Anomaly scores, higher = more anomalous.
    anomalous : (n,) bool
    """
    count = int(anomalous.sum())
    ranked: dict[str, Callable[[Any], Any]] = {"auroc": Ranking.auroc, "aupr": Ranking.aupr}
    for k in dict.fromkeys((count, *(k for k in _FIRST_K if k <= len(scores)))):
        ranked[f"precision_at_{k}"] = operator.methodcaller("precision_at", k)
    ranked["fpr_at_95_recall"] = operator.methodcaller("fpr_at_recall", 0.95)
    ranking = Ranking.of(anomalous, scores)
    intervals = bootstrap_interval(list(ranked.values()), anomalous, scores)
    values = {name: float(metric(ranking)) for name, metric in ranked.items()}
    threshold = detector.calibration_.threshold
    flags = scores > threshold
    return {
        "rows": len(scores),
        "anomalous": count,
        "metrics": {
            # Rows that are drawn twice make some metrics larger in all replicates than in the data.
            name: {"value": value, "low": float(min(low, value)), "high": float(max(high, value))}
            for (name, value), (low, high) in zip(values.items(), intervals, strict=True)
        },
        "at_threshold": {
            "threshold": threshold,
            "flagged": int(flags.sum()),
            "recall": float(flags[anomalous].mean()),
            "fpr": float(flags[~anomalous].mean()),
            "precision": float(anomalous[flags].mean()) if flags.any() else None,
        },
    }


def rows_of_the_fit(
    detector: Any, known: np.ndarray | None, anomalous: np.ndarray, held_out: np.ndarray | None
) -> tuple[dict[str, Any] | None, np.ndarray | None]:
    """Return how many rows were part of the fit, and which were not if these can be measured by themselves.

    Parameters
    ----------
    detector : fitted Detector
    known : (n,) bool or None
        Which rows equal one of the fit, as far as the detector knows.
    anomalous : (n,) bool
    held_out : (n,) bool or None
        See `held_out_rows`.
    """
    if known is None:
        return None, None
    if held_out is not None:
        fitted = known & ~held_out
        new = held_out | ~known
        facts = {"rows": int(fitted.sum()), "normal": int((fitted & ~anomalous).sum()), "estimated": False}
        return facts, new if anomalous[new].any() and not anomalous[new].all() else None
    digests = detector.fitted_state.digests
    rows = digests.estimated(int(known.sum()), len(known))
    if not rows:
        return None, None
    normal = digests.estimated(int(known[~anomalous].sum()), int((~anomalous).sum()))
    exact = digests.whole and not digests.repeated
    fitted_on = {"rows": rows, "normal": min(normal, rows), "estimated": not exact}
    new = ~known
    separable = digests.whole and digests.repeated < _FEW_REPEATED and anomalous[new].any() and not anomalous[new].all()
    return fitted_on, new if separable else None


def held_out_rows(detector: Any, source: Any, known: np.ndarray | None) -> np.ndarray | None:
    """Return which rows of a table file were held out when the detector was fitted on this file, otherwise None.

    It is this file if it has as many rows, and the rows that were not held out are those of the fit.
    """
    record = detector.fitted_on_.get("holdout")
    if record is None or known is None or not isinstance(source, TableFile):
        return None
    holdout = Holdout(**record)
    if len(known) != holdout.rows:
        return None
    mask = holdout.mask(source, len(known))
    found = int(known[~mask].sum())
    return mask if found >= _SAME_FILE * len(detector.fitted_state.digests.values) else None


def per_group(detector: Any, scores: np.ndarray, anomalous: np.ndarray, groups: np.ndarray) -> list[dict[str, Any]]:
    """Return figures of each group of rows, in the order of their names; see `evaluate`."""
    flags = scores > detector.calibration_.threshold
    found = []
    for group in np.unique(groups):
        rows = groups == group
        some, bad = flags[rows], anomalous[rows]
        ranking = Ranking.of(bad, scores[rows]) if bad.any() and not bad.all() else None
        found.append(
            {
                "group": str(group),
                "rows": int(rows.sum()),
                "anomalous": int(bad.sum()),
                "flagged": int(some.sum()),
                "recall": float(some[bad].mean()) if bad.any() else None,
                "fpr": float(some[~bad].mean()) if not bad.all() else None,
                "auroc": None if ranking is None else float(ranking.auroc()),
                "aupr": None if ranking is None else float(ranking.aupr()),
            }
        )
    return found


def _in_labelled_folders(
    layout: LabelledFolder, scores: np.ndarray, labels: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Leave out pictures that lie outside of the labelled folders."""
    inside = layout.labelled(labels)
    if words := layout.unlabelled_words(labels):
        warnings.warn(f"scored, but not measured: {words}.", stacklevel=3)
    return scores[inside], labels[inside], None if known is None else known[inside]


def _groups(source: Any, by: Any) -> np.ndarray:
    """Return the name of each row's group."""
    if not isinstance(by, str):
        groups = np.asarray(by).astype(str)
        if source.total is not None and groups.shape != (source.total,):
            raise InputError(f"by has shape {groups.shape}; needed is the group of each of {source.total} rows.")
        return groups
    if not isinstance(source, TableFile):
        raise InputError(f"by='{by}' names a column of a table file; give the group of each row, such as X['{by}'].")
    name, period = split_period(by, source.names)
    source.check_column(name)
    groups = group_names(source.column(name), period, f"{source.name}: column '{name}'")
    if (different := len(np.unique(groups))) > _MOST_GROUPS:
        raise InputError(
            f"{source.name}: column '{name}' has {different:,} different values, too many to be groups. For dates name "
            f"a period, such as {name}:month."
        )
    return groups


def per_kind(scores: np.ndarray, labels: np.ndarray, anomalous: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return the AUROC of each kind of anomaly against all normal rows; empty unless there are several kinds."""
    kinds, counts = np.unique(labels[anomalous], return_counts=True)
    if len(kinds) < 2:
        return {}
    found = {}
    for index in np.argsort(-counts, kind="stable")[:_KINDS_LISTED]:
        rows = ~anomalous | (labels == kinds[index])
        found[str(kinds[index])] = {"anomalous": int(counts[index]), "auroc": auroc(anomalous[rows], scores[rows])}
    return found


def _scored(
    stream: Stream, pixels: _PixelScores | None, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the scores, the labels, and which rows equal one of the fit (None if the detector does not know)."""
    scores: list[np.ndarray] = []
    known: list[np.ndarray] = []
    has_digests = stream.detector.fitted_state.digests is not None
    labels: list[np.ndarray] = []
    done = 0
    report(progress, "scoring", done, stream.total)
    for chunk in stream:
        if pixels is not None and pixels.has_masks:
            found, maps = stream.detector.maps_of_part(chunk.X)
            pixels.add(chunk, pixel_maps(maps))
        else:
            found = stream.scores(chunk)
        scores.append(found)
        if has_digests:
            known.append(stream.detector.was_fitted_on(chunk.X))
        if chunk.labels is not None:
            labels.append(chunk.labels)
        done += len(chunk)
        report(progress, "scoring", done, stream.total)
    return (
        np.concatenate(scores),
        np.concatenate(labels) if labels else None,
        np.concatenate(known) if known else None,
    )


class _PixelScores:
    """Anomaly maps against masks, picture by picture at the masks' own size."""

    def __init__(self, layout: LabelledFolder) -> None:
        layout.check_labelled()
        self.layout = layout
        self.has_masks = layout.has_masks
        self.doubtful: dict[tuple[str, str, str], list[str]] = defaultdict(list)  # names of pictures, by why
        self.curves: dict[str, PixelCurve] = defaultdict(PixelCurve)  # by kind of picture, "good" included

    def add(self, chunk: Chunk, maps: np.ndarray) -> None:
        """Count the pictures of a chunk, except defective ones without a mask that can be right."""
        for file, name, values in zip(chunk.X.files, chunk.names or [], maps, strict=True):
            mask, doubt = self.layout.measurable_mask(file)
            if doubt is not None:
                kind = "normal" if self.layout.kind_of(file) in self.layout.normal_kinds else "defective"
                self.doubtful["leave out" if mask is None else "include", f"{kind} picture", doubt].append(name)
            if mask is not None:
                self.curves[self.layout.kind_of(file)].add(mask, resized_map(values, mask.shape))

    def facts(self) -> dict[str, Any]:
        """Return pixel metrics over all pictures, none if no mask marks anything."""
        for (what, pictures, doubt), names in self.doubtful.items():
            listed = ", ".join(names[:_LISTED]) + ", ..." * (len(names) > _LISTED)
            warnings.warn(f"figures of pixels {what} {counted(len(names), pictures)} {doubt}: {listed}.", stacklevel=3)
        curve = sum(self.curves.values(), PixelCurve())
        if not curve.regions:
            return {}
        return {
            "pixels": {"auroc": curve.auroc(), "aupro_at_0.3": curve.aupro(0.3), "regions": curve.regions},
        }

    def facts_of(self, kind: str) -> dict[str, float]:
        """Return the pixel AUROC over the pictures of one kind and the good ones."""
        if kind not in self.curves or not self.curves[kind].regions:
            return {}
        normal = [self.curves[name] for name in self.layout.normal_kinds if name in self.curves]
        return {"pixel_auroc": sum(normal, self.curves[kind]).auroc()}
