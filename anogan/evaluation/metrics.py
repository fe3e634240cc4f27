"""Ranking metrics for rows and for pixels, with bootstrap intervals.

Higher scores mean more anomalous; labels are 1 (or True) for anomalous and 0 for normal. All row metrics are
computed from one table, the counts of anomalous and normal rows at each distinct score in descending order,
so that ties are handled in one place and a bootstrap replicate is a new draw of the counts, not a new sort.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError

Array = npt.NDArray[np.float64]

# Bounds of the bootstrap's work, about two seconds: distinct groups kept, and groups times replicates drawn.
_MAX_GROUPS = 50_000
_MAX_DRAWS = 30_000_000
_MAX_BLOCK = 2_000_000


@dataclass(frozen=True)
class Ranking:
    """Counts of rows at each distinct score, most anomalous first.

    Parameters
    ----------
    anomalous, normal : (..., G)
        Rows of each class in each group of tied scores; leading axes are bootstrap replicates.
    """

    anomalous: Array
    normal: Array

    @classmethod
    def of(cls, labels: npt.ArrayLike, scores: npt.ArrayLike) -> "Ranking":
        """Count `labels` (n,) of 0/1 at each distinct value of `scores` (n,).

        Raises
        ------
        InputError
            If lengths differ, a score is NaN or no number of 64 bits, a label is neither 0 nor 1, or one of the
            classes is absent.
        """
        y = np.asarray(labels)
        try:
            s = np.asarray(scores, dtype=np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"scores must be numbers of 64 bits: {error}.") from None
        if y.ndim != 1 or s.shape != y.shape:
            raise InputError(f"labels and scores must be (n,), as long as each other; got {y.shape} and {s.shape}.")
        if np.isnan(s).any():
            raise InputError(f"{int(np.isnan(s).sum())} of {len(s)} scores are NaN; every row needs a number.")
        if not np.isin(y, (0, 1)).all():
            raise InputError("labels must be 0 (normal) or 1 (anomalous).")
        y = y.astype(bool)
        if y.all() or not y.any():
            missing = "normal" if len(y) and y.all() else "anomalous"
            raise InputError(f"the labels name no {missing} row among {len(y)}; a ranking metric needs both classes.")
        order = np.argsort(-s, kind="stable")
        s, y = s[order], y[order]
        starts = np.flatnonzero(np.concatenate(([True], s[1:] != s[:-1])))  # (G,)
        anomalous = np.add.reduceat(y.astype(np.float64), starts)
        sizes = np.diff(np.append(starts, len(s)))
        return cls(anomalous, sizes - anomalous)

    def auroc(self) -> Array:
        """Probability that an anomalous row outranks a normal one, ties counting half; (...,)."""
        total = self.normal.sum(-1)
        above = np.cumsum(self.normal, -1) - self.normal / 2  # normal rows ranked above the middle of each group
        return 1 - (self.anomalous * above).sum(-1) / (self.anomalous.sum(-1) * total)

    def aupr(self) -> Array:
        """Average precision, scikit-learn's step-wise area under the precision-recall curve; (...,)."""
        hits = np.cumsum(self.anomalous, -1)
        flagged = hits + np.cumsum(self.normal, -1)
        precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
        return (precision * self.anomalous).sum(-1) / hits[..., -1]

    def precision_at(self, k: int) -> Array:
        """Share of anomalous rows among the `k` highest scores, expected over random ties; (...,)."""
        sizes = self.anomalous + self.normal
        total = int(np.rint(sizes.sum(-1).max()))
        if not 1 <= k <= total:
            raise InputError(f"k must lie between 1 and the number of rows, {total}; got {k}.")
        taken = np.clip(k - (np.cumsum(sizes, -1) - sizes), 0, sizes)  # rows of each group among the first k
        hits = np.divide(self.anomalous * taken, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        return hits.sum(-1) / k

    def fpr_at_recall(self, recall: float = 0.95) -> Array:
        """Share of the normal rows flagged by the highest threshold that reaches `recall`; (...,)."""
        if not 0 < recall <= 1:
            raise InputError(f"recall must lie in (0, 1]; got {recall}.")
        hits = np.cumsum(self.anomalous, -1)
        # A count is compared with recall * total: 1e-9 keeps 0.95 * 20 = 19.0 from demanding a twentieth row.
        first = np.argmax(hits >= (recall * hits[..., -1:] - 1e-9), -1)  # first group that reaches the recall
        false = np.take_along_axis(np.cumsum(self.normal, -1), first[..., None], -1)[..., 0]
        return false / self.normal.sum(-1)

    def compressed(self, limit: int) -> "Ranking":
        """Return the same curve in fewer groups.

        Neighbouring groups without anomalous rows are merged, which changes none of the metrics; only if more
        than `limit` groups remain are neighbours of about equal mass merged too, which moves a metric by
        about 1 / limit.
        """
        pure = self.anomalous == 0
        keep = np.concatenate(
            ([True], ~(pure[1:] & pure[:-1]))
        )  # a group starts unless it and its predecessor are pure
        merged = self._merge(np.flatnonzero(keep))
        if len(merged.anomalous) <= limit:
            return merged
        share = merged.anomalous / merged.anomalous.sum() + merged.normal / merged.normal.sum()
        bucket = np.floor(np.cumsum(share) / 2 * limit).astype(np.int64)
        return merged._merge(np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1]))))

    def _merge(self, starts: npt.NDArray[np.intp]) -> "Ranking":
        return Ranking(np.add.reduceat(self.anomalous, starts), np.add.reduceat(self.normal, starts))


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve of `scores` (n,) against `labels` (n,) of 0/1: in [0, 1], 0.5 is chance."""
    return float(Ranking.of(labels, scores).auroc())


def aupr(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Average precision of `scores` (n,) against `labels` (n,) of 0/1: in (0, 1], chance: anomalous share."""
    return float(Ranking.of(labels, scores).aupr())


def precision_at(labels: npt.ArrayLike, scores: npt.ArrayLike, k: int | None = None) -> float:
    """Share of anomalous rows among the `k` highest scores; `k` defaults to the number of anomalous rows."""
    ranking = Ranking.of(labels, scores)
    return float(ranking.precision_at(int(ranking.anomalous.sum()) if k is None else k))


def fpr_at_recall(labels: npt.ArrayLike, scores: npt.ArrayLike, recall: float = 0.95) -> float:
    """Share of normal rows flagged when `recall` of the anomalous rows are: in [0, 1], lower is better."""
    return float(Ranking.of(labels, scores).fpr_at_recall(recall))


def bootstrap_interval(
    metric: Callable[[Ranking], Array] | list[Callable[[Ranking], Array]],
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    replicates: int = 1000,
    random_state: int = 0,
) -> Array:
    """Percentile bootstrap interval of one metric, or of several over the same replicates.

    Rows are drawn with replacement within each class, so every replicate has both classes in the given
    proportion.

    Parameters
    ----------
    metric : callable or list of callables
        From a `Ranking` with leading replicate axis to one value per replicate: ``Ranking.auroc``,
        ``lambda r: r.precision_at(10)``.
    labels, scores : (n,)
        0/1 and higher = more anomalous.
    confidence : float in (0, 1)
    replicates : int
        Fewer are drawn, but at least 200, if this number would take more than a few seconds.

    Returns
    -------
    (2,) or (len(metric), 2)
        Lower and upper end.

    Raises
    ------
    InputError
        If `confidence` or `replicates` is out of range, or labels and scores cannot be used; see `Ranking.of`.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, such as 0.95; got {confidence}.")
    if replicates < 1:
        raise InputError(f"replicates must be at least 1; got {replicates}.")
    metrics = metric if isinstance(metric, list) else [metric]
    ranking = Ranking.of(labels, scores).compressed(_MAX_GROUPS)
    groups = len(ranking.anomalous)
    replicates = min(replicates, max(200, _MAX_DRAWS // groups))
    rng = np.random.default_rng(random_state)
    block = max(1, _MAX_BLOCK // groups)
    values: list[list[Array]] = [[] for _ in metrics]
    for start in range(0, replicates, block):
        count = min(block, replicates - start)
        drawn = Ranking(_redraw(ranking.anomalous, count, rng), _redraw(ranking.normal, count, rng))  # (count, G)
        for one, collected in zip(metrics, values, strict=True):
            collected.append(one(drawn))
    tail = (1 - confidence) / 2
    intervals = np.array([np.quantile(np.concatenate(v), [tail, 1 - tail]) for v in values])
    return intervals if isinstance(metric, list) else intervals[0]


def _redraw(counts: Array, replicates: int, rng: np.random.Generator) -> Array:
    """Multinomial redraws (replicates, G) of `counts` (G,), touching only the groups that hold anything."""
    filled = np.flatnonzero(counts)
    total = counts[filled].sum()
    drawn = np.zeros((replicates, len(counts)))
    drawn[:, filled] = rng.multinomial(int(total), counts[filled] / total, size=replicates)
    return drawn


class PixelCurve:
    """Pixel-wise ROC and per-region overlap, accumulated picture by picture in constant memory.

    Scores are counted in bins of their float32 bit pattern without its lowest 12 bits. That order is the
    order of the numbers, needs no range in advance, and keeps a relative resolution of 1/2048, so a curve
    over any number of pictures takes 25 MB. That suits errors, which spread over orders of magnitude from 0; scores
    that differ by less than 1/2048 of their value, such as those around a large offset, are ties.

    Parameters
    ----------
    values : (m,) float64, optional
        The distinct scores of all defective pixels, ascending, if they are known beforehand: the curve is then exact,
        because only the place of a normal pixel among them counts.
    """

    _SHIFT = 12

    def __init__(self, values: Array | None = None) -> None:
        bins = 1 << (32 - self._SHIFT) if values is None else 2 * len(values) + 1
        self._values = values
        self._normal = np.zeros(bins)
        self._anomalous = np.zeros(bins)
        self._overlap = np.zeros(bins)  # every region adds one, spread over its pixels
        self.regions = 0

    def add(self, mask: npt.ArrayLike, scores: npt.ArrayLike) -> None:
        """Count one picture.

        Parameters
        ----------
        mask : (H, W)
            Non-zero where the picture is defective; all zero for a good picture.
        scores : (H, W)
            Anomaly score of each pixel, finite, as float32 unless the curve is exact.

        Raises
        ------
        InputError
            If the shapes differ or a score is not finite.
        """
        from scipy.ndimage import label

        defect = np.asarray(mask) != 0
        s: npt.NDArray[Any] = np.asarray(scores, dtype=np.float32 if self._values is None else np.float64)
        if defect.ndim != 2 or s.shape != defect.shape:
            raise InputError(f"mask and scores must be (H, W) and of one shape; got {defect.shape} and {s.shape}.")
        if not np.isfinite(s).all():
            raise InputError("pixel scores must be finite.")
        keys = self._keys(s)
        # Counted in place: an array over all bins for each picture would make the exact curve quadratic in pictures.
        np.add.at(self._normal, keys[~defect], 1.0)
        if not defect.any():
            return
        # Eight neighbours, as in MVTec's own evaluation code.
        labels, count = label(defect, structure=np.ones((3, 3), dtype=int))
        of_region = labels[defect]  # (defective pixels,)
        weights = 1 / np.bincount(of_region, minlength=count + 1)[of_region]
        np.add.at(self._anomalous, keys[defect], 1.0)
        np.add.at(self._overlap, keys[defect], weights)
        self.regions += count

    def __add__(self, other: "PixelCurve") -> "PixelCurve":
        """Return the curve over the pictures of both."""
        both = PixelCurve(self._values)
        both._normal = self._normal + other._normal
        both._anomalous = self._anomalous + other._anomalous
        both._overlap = self._overlap + other._overlap
        both.regions = self.regions + other.regions
        return both

    def _keys(self, scores: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        if self._values is not None:  # 2 i + 1 for the value i, and 2 i between the values i - 1 and i
            # Scores in ascending order are found several times as fast, because neighbours are near in memory.
            distinct, places = np.unique(scores, return_inverse=True)
            keys = np.searchsorted(self._values, distinct) + np.searchsorted(self._values, distinct, side="right")
            return keys[places].reshape(scores.shape)
        # + 0.0 turns -0.0 into 0.0. Flipping all bits of negatives and the sign of the others orders patterns
        # as numbers.
        bits = np.ascontiguousarray(scores.astype(np.float32) + np.float32(0)).view(np.uint32)
        ordered = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
        return (ordered >> self._SHIFT).astype(np.int64)

    def auroc(self) -> float:
        """Area under the ROC curve over all pixels of all pictures, in [0, 1].

        Raises
        ------
        InputError
            If there are no defective or no normal pixels.
        """
        fpr, hit = self._curve(self._anomalous)
        return float(np.trapezoid(hit, fpr))

    def aupro(self, limit: float = 0.3) -> float:
        """Area under the per-region overlap curve up to an FPR of `limit`, divided by `limit`; in [0, 1].

        The overlap at a threshold is the share of a connected defect's pixels at or above it, averaged over
        all defects of all pictures, so a small defect weighs as much as a large one (Bergmann et al., "The
        MVTec Anomaly Detection Dataset", IJCV 129, 2021).

        Raises
        ------
        InputError
            If there are no defective or no normal pixels, or `limit` is outside (0, 1].
        """
        if not 0 < limit <= 1:
            raise InputError(f"limit must lie in (0, 1]; got {limit}.")
        fpr, overlap = self._curve(self._overlap)
        inside = fpr <= limit
        at_limit = np.interp(limit, fpr, overlap)
        return float(np.trapezoid(np.append(overlap[inside], at_limit), np.append(fpr[inside], limit)) / limit)

    def _curve(self, gain: Array) -> tuple[Array, Array]:
        """False-positive rate and share of `gain`, from the highest threshold to the lowest; both 0 to 1."""
        if not self.regions or not self._normal.any():
            missing = "defective" if not self.regions else "normal"
            raise InputError(f"the masks mark no {missing} pixel; pixel metrics need both kinds.")
        used = np.flatnonzero(self._normal + self._anomalous)[::-1]
        fpr = np.concatenate(([0.0], np.cumsum(self._normal[used]))) / self._normal.sum()
        reached = np.concatenate(([0.0], np.cumsum(gain[used]))) / gain.sum()
        return fpr, reached


def pixel_maps(errors: npt.ArrayLike) -> Array:
    """Sum anomaly maps (n, C, H, W) over channels: one map (n, H, W) for each picture."""
    return np.asarray(errors, dtype=np.float64).sum(axis=1)


def resized_map(values: npt.NDArray[np.floating], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a map (h, w) at another size (height, width), by bilinear interpolation."""
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def pixel_auroc(masks: Iterable[npt.ArrayLike], maps: Iterable[npt.ArrayLike]) -> float:
    """Area under the pixel-wise ROC curve of `maps` against `masks`, iterables of finite (H, W) of any sizes.

    It is exact in float64, for which all maps are held in memory.
    """
    return _exact_curve(masks, maps).auroc()


def aupro(masks: Iterable[npt.ArrayLike], maps: Iterable[npt.ArrayLike], limit: float = 0.3) -> float:
    """Normalised area under the per-region overlap curve of `maps` (H, W); see `pixel_auroc`, `PixelCurve.aupro`."""
    return _exact_curve(masks, maps).aupro(limit)


def _exact_curve(masks: Iterable[npt.ArrayLike], maps: Iterable[npt.ArrayLike]) -> PixelCurve:
    defects = [np.asarray(mask) != 0 for mask in masks]
    scores = [np.asarray(values) for values in maps]
    if len(defects) != len(scores):
        raise InputError(f"There are {len(defects)} masks and {len(scores)} maps; each map needs a mask.")
    found = [s[defect].astype(np.float64) for defect, s in zip(defects, scores, strict=True) if s.shape == defect.shape]
    curve = PixelCurve(np.unique(np.concatenate(found)) if found else np.empty(0))
    for defect, values in zip(defects, scores, strict=True):
        curve.add(defect, values)
    return curve
