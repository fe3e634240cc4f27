"""The scores of a stream, and the rows that a reader should see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ..errors import InputError
from ..sources.source import Chunk
from .progress import Progress, report
from .stream import Stream

_Scored: TypeAlias = list[tuple[Chunk, float]]


@dataclass
class TopK:
    """The scores of a stream, and its extreme rows.

    Attributes
    ----------
    scores : (n,) float64
    labels : (n,) array of str or None
    known : (n,) bool or None
        Which rows equal one that the detector was fitted on; None if the model has no digests of these.
    highest, lowest : list of (Chunk, float)
        Rows as chunks of one with their scores, the most extreme first.
    nearest : list of (Chunk, float)
        The rows with the scores nearest to the threshold.
    misses : list of (Chunk, float)
        Anomalous rows that are not flagged, the lowest scores first; empty without labels.
    false_alarms : list of (Chunk, float)
        Normal rows that are flagged, the highest scores first; empty without labels.
    """

    scores: np.ndarray
    labels: np.ndarray | None
    known: np.ndarray | None
    highest: _Scored
    lowest: _Scored
    nearest: _Scored = field(default_factory=list)
    misses: _Scored = field(default_factory=list)
    false_alarms: _Scored = field(default_factory=list)

    @classmethod
    def of(
        cls,
        stream: Stream,
        *,
        highest: int,
        lowest: int = 0,
        reviewed: int = 0,
        normal: str | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Score a stream in one pass and keep only the extreme rows themselves.

        Parameters
        ----------
        stream : Stream
        highest, lowest : int
            How many of the most and of the least anomalous rows to keep.
        reviewed : int
            How many rows nearest to the threshold, misses and false alarms to keep.
        normal : str, optional
            The label of normal rows; see `Stream.labels_anomalous`.
        progress : function of (str, int, int or None), optional
        """
        scores, labels, known = [], [], []
        top: _Scored = []
        bottom: _Scored = []
        nearest: _Scored = []
        misses: _Scored = []
        false_alarms: _Scored = []
        threshold = stream.detector.calibration_.threshold
        done = 0
        report(progress, "scoring", done, stream.total)
        for chunk in stream:
            found = stream.scores(chunk)
            scores.append(found)
            if chunk.labels is not None:
                labels.append(chunk.labels)
            if stream.detector.fitted_state.digests is not None:
                known.append(stream.detector.was_fitted_on(chunk.X))
            top = _extremes(top, chunk, found, highest, lambda scores: -scores)
            bottom = _extremes(bottom, chunk, found, lowest, lambda scores: scores)
            nearest = _extremes(nearest, chunk, found, reviewed, lambda scores: np.abs(scores - threshold))
            if reviewed and chunk.labels is not None:
                bad = stream.labels_anomalous(chunk.labels, normal)
                flagged = found > threshold
                misses = _extremes(misses, chunk, found, reviewed, lambda scores: scores, of=bad & ~flagged)
                false_alarms = _extremes(
                    false_alarms, chunk, found, reviewed, lambda scores: -scores, of=~bad & flagged
                )
            done += len(chunk)
            report(progress, "scoring", done, stream.total)
        if not scores:
            raise InputError(f"{stream.source.name} has no rows to score.")
        return cls(
            np.concatenate(scores),
            np.concatenate(labels) if labels else None,
            np.concatenate(known) if known else None,
            top,
            bottom,
            nearest,
            misses,
            false_alarms,
        )


def _extremes(
    kept: _Scored,
    chunk: Chunk,
    scores: np.ndarray,
    count: int,
    key: Callable[[np.ndarray], np.ndarray],
    *,
    of: np.ndarray | None = None,
) -> _Scored:
    """Return the `count` first of those kept so far and of a chunk, by ``key(scores)``; the earlier one wins a tie.

    Of the chunk, only the rows in the mask `of` count.
    """
    limit = key(np.array([kept[-1][1]]))[0] if 0 < len(kept) == count else np.inf
    keys = key(scores) if of is None else np.where(of, key(scores), np.inf)
    rows = [row for row in np.argsort(keys, kind="stable")[:count] if keys[row] < limit]
    merged = kept + [(chunk.one(int(row)), float(scores[row])) for row in rows]
    order = np.argsort(key(np.array([score for _, score in merged])), kind="stable")
    return [merged[index] for index in order[:count]]
