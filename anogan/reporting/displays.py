"""Plots of a fitted detector in the manner of scikit-learn's displays; matplotlib is imported when one is drawn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..evaluation.metrics import pixel_maps, resized_map
from ..sources.labels import label_text
from ..sources.pictures import PictureSource
from ..streams.stream import Stream
from ..streams.top_k import TopK
from .maps import drawn
from .pictures import original

_BINS = 40
_MARGIN = 0.05  # of the range, beyond the threshold
_INSIDE = 0.98  # share of the scores that the axis covers; a few anomalies may lie orders of magnitude above the rest


class _Display:
    """What the displays share: the axes that they were drawn on.

    Attributes
    ----------
    ax_, figure_
        The matplotlib axes and figure, after `plot`.
    """

    ax_: Any
    figure_: Any

    def _axes(self, ax: Any) -> Any:
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        self.ax_, self.figure_ = ax, ax.figure
        return ax


class ScoreDisplay(_Display):
    """Distribution of anomaly scores, with the detector's threshold.

    Parameters
    ----------
    scores : (n,) array
        Anomaly scores, higher = more anomalous.
    threshold : float
    anomalous : (n,) bool array, optional
        Which rows are anomalous; they get a histogram of their own.
    name : str, optional
        Title of the plot.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> display = anogan.ScoreDisplay.from_estimator(detector, X)
    >>> display.scores.shape
    (60,)
    """

    def __init__(
        self, scores: np.ndarray, *, threshold: float, anomalous: np.ndarray | None = None, name: str | None = None
    ) -> None:
        self.scores, self.threshold, self.anomalous, self.name = scores, threshold, anomalous, name

    @classmethod
    def from_estimator(
        cls, detector: Any, X: Any, y: Any = None, *, normal: str | float | None = None, ax: Any = None
    ) -> Self:
        """Score data and plot the scores.

        Parameters
        ----------
        detector : fitted Detector
        X : array, DataFrame, ImageFolder, path, Source or Stream
        y : (n,) array-like, optional
            Labels: 0 or false for normal rows and 1 or true for anomalous ones, or any if `normal` is given.
        normal : str or number, optional
            The label of normal rows; or the name of the folders of normal pictures.
        ax : matplotlib axes, optional
        """
        stream, normal = Stream.of(detector, X, y), label_text(normal)
        if isinstance(stream.source, PictureSource):
            stream.source = stream.source.with_normal(normal)
        found = TopK.of(stream, highest=0)
        anomalous = None if found.labels is None else stream.anomalous(found.labels, normal)
        threshold = detector.calibration_.threshold
        return cls(found.scores, threshold=threshold, anomalous=anomalous, name=detector.name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot on `ax`, or on new axes. The last bar counts the scores beyond the axis too."""
        ax = self._axes(ax)
        low, top = float(self.scores.min()), max(float(np.quantile(self.scores, _INSIDE)), self.threshold)
        bins = np.linspace(low, top + (_MARGIN * (top - low) or 1.0), _BINS)  # scores may be negative, or all equal
        inside = np.clip(self.scores, bins[0], bins[-1])
        light: dict[str, Any] = {"density": True, "color": "0.75", "edgecolor": "0.4"}
        if self.anomalous is None:
            ax.hist(inside, bins, **light, label="scores")
        else:
            ax.hist(inside[~self.anomalous], bins, **light, label="normal")
            outline: dict[str, Any] = {"density": True, "histtype": "step", "color": "black", "linewidth": 1.6}
            ax.hist(inside[self.anomalous], bins, **outline, label="anomalous")
        ax.axvline(self.threshold, color="black", linestyle="dashed", linewidth=1, label="threshold")
        ax.set(title=self.name or "", xlabel="anomaly score (last bar: that and above)", ylabel="density")
        ax.legend()
        return self


class TrainingCurvesDisplay(_Display):
    """Loss terms and other curves of a training.

    Parameters
    ----------
    history : dict of str to dict of str to list of float
        Stage -> term -> values, as `Detector.history_`.

    Attributes
    ----------
    lines_ : list of matplotlib lines

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> display = anogan.TrainingCurvesDisplay.from_estimator(detector)
    >>> len(display.lines_) > 0
    True
    """

    def __init__(self, history: dict[str, dict[str, list[float]]]) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, detector: Any, *, stage: str | None = None, ax: Any = None) -> Self:
        """Plot the training of a fitted detector.

        Parameters
        ----------
        detector : fitted Detector
        stage : str, optional
            A key of `Detector.history_`; by default all stages.
        ax : matplotlib axes, optional

        Raises
        ------
        InputError
            If training had no such stage.
        """
        history = dict(detector.history_)
        if stage is not None and stage not in history:
            raise InputError(f"There is no stage '{stage}' in the training; there are {', '.join(history)}.")
        return cls(history if stage is None else {stage: history[stage]}).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot on `ax`, or on new axes. The scale is linear around zero and logarithmic beyond 1."""
        ax = self._axes(ax)
        self.lines_: list[Any] = []
        for stage, terms in self.history.items():
            steps = terms.get("step", [])
            for term, values in terms.items():
                if term != "step" and len(values) == len(steps):
                    self.lines_ += ax.plot(steps, values, linewidth=1, label=f"{stage}: {term}".replace("_", " "))
        ax.set(xlabel="step", yscale="symlog")
        if self.lines_:
            ax.legend(fontsize="small")
        return self


class AnomalyMapDisplay(_Display):
    """A picture under its anomaly map.

    Parameters
    ----------
    picture : (C, H, W) array
        In [0, 1].
    anomaly_map : (H, W) array
        Higher = more anomalous.
    threshold : float, optional
        The value above which a pixel is part of a defect; a contour is drawn around such pixels. By default half of
        the largest value.
    start : float, optional
        The value at which colours begin; by default the threshold.
    name : str, optional
        Title of the plot.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).random(size=(20, 1, 8, 8))
    >>> detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0).fit(X)
    >>> display = anogan.AnomalyMapDisplay.from_estimator(detector, X, index=3)
    >>> display.anomaly_map.shape
    (8, 8)
    """

    def __init__(
        self,
        picture: np.ndarray,
        anomaly_map: np.ndarray,
        *,
        threshold: float | None = None,
        start: float | None = None,
        name: str | None = None,
    ) -> None:
        self.picture, self.anomaly_map, self.name = picture, anomaly_map, name
        self.threshold = float(anomaly_map.max()) / 2 if threshold is None else threshold
        self.start = self.threshold if start is None else start

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, *, index: int = 0, ax: Any = None) -> Self:
        """Score one picture and plot it under its map.

        Parameters
        ----------
        detector : fitted Detector
        X : array (n, C, H, W) or ImageFolder
        index : int
            Which picture of X.
        ax : matplotlib axes, optional

        Raises
        ------
        InputError
            If the detector was not fitted on pictures, or X has no such picture.
        """
        if detector.preprocessor_.kind != "image":
            raise InputError("An anomaly map needs a detector that was fitted on pictures.")
        if not 0 <= index < len(X):
            raise InputError(f"There is no picture {index}; X has {len(X)}.")
        chunk = next(iter(Stream(detector, X[index : index + 1])))
        scores, maps = detector.maps_of_part(chunk.X)
        picture = original(chunk, 0)
        values = resized_map(pixel_maps(maps)[0], (picture.shape[1], picture.shape[2]))
        name = f"score {scores[0]:.4g}"
        levels = {"threshold": detector.calibration_.map_threshold, "start": detector.calibration_.map_start}
        return cls(picture, values, **levels, name=name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot on `ax`, or on new axes."""
        ax = self._axes(ax)
        ax.imshow(drawn(self.picture, self.anomaly_map, self.start, self.threshold))
        ax.set(title=self.name or "", xticks=[], yticks=[])
        return self
