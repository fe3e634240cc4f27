"""The results of a fitted detector on a set of data as one HTML page."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ..data.digests import WITHOUT
from ..errors import InputError
from ..files.writing import written_whole
from ..sources.labels import label_text
from ..sources.notes import in_words_of
from ..sources.pictures import PictureSource
from ..streams.progress import Progress
from ..streams.stream import Stream
from ..streams.top_k import TopK
from .examples import REVIEWED, SIDE_BY_SIDE, THUMBS, gallery_facts, row_facts, sample_pictures, sample_rows
from .fitted_model import model_facts
from .html import render
from .results import result_facts


@dataclass(frozen=True, repr=False)
class Report:
    """An HTML page with the results of a fitted detector on data; see `from_estimator`.

    The page is one file without external resources. It shows how many rows or pictures are flagged and how many were
    expected, the scores with a movable threshold, the most anomalous rows with reasons (pictures with heatmaps),
    generated samples beside real ones if the detector generates, and how the model was trained. With labels it also
    has ROC and precision-recall curves. Notebooks display a report as the last value of a cell.

    Attributes
    ----------
    facts : dict
        Everything on the page, such as ``facts["count"]`` and ``facts["flagged"]``.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> page = anogan.Report.from_estimator(detector, X, top=5)
    >>> page.facts["count"]
    60
    >>> page.to_html()[:15]
    '<!DOCTYPE html>'
    """

    facts: dict[str, Any]

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        y: Any = None,
        *,
        normal: str | float | None = None,
        top: int = 100,
        model_path: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Score data and collect what the page shows.

        Parameters
        ----------
        detector : fitted Detector
        X : array, DataFrame, ImageFolder, path, Source or Stream
            The data, which is read once, in chunks.
        y : (n,) array-like, optional
            Labels of data in memory: 0 or false for normal rows and 1 or true for anomalous ones, or any if `normal` is
            given. A stream with labels, and a folder of pictures whose folders are labels, need none.
        normal : str or number, optional
            The label of normal rows, or the name of the folders of normal pictures; all others are anomalous.
        top : int
            Number of most anomalous rows or pictures to show. Numbers and curves cover all of X.
        model_path : path, optional
            The detector's model file, whose name and digest the page then states.
        progress : function of (str, int, int or None), optional
            Called after each part with what is being done, how many rows are done, and how many there are.

        Raises
        ------
        InputError
            If the data does not suit the detector, or labels do not say which rows are normal.
        """
        stream, normal = Stream.of(detector, X, y), label_text(normal)
        if isinstance(stream.source, PictureSource):
            stream.source = stream.source.with_normal(normal)
        is_image = detector.preprocessor_.kind == "image"
        found = TopK.of(
            stream,
            highest=top,
            lowest=THUMBS if is_image else SIDE_BY_SIDE,
            reviewed=min(REVIEWED, top) if is_image else 0,
            normal=normal,
            progress=progress,
        )
        notes = stream.notes()
        if found.labels is None and normal is not None and not isinstance(stream.source, PictureSource):
            raise InputError(
                f"{stream.source.name} was read without labels, so none can be '{normal}'; give y, or the name of the "
                "labels (on the command line with --label, which is y for a .npz)."
            )
        lower = "scores of such rows are lower than those of new ones."
        if found.known is None:
            notes.append(in_words_of(WITHOUT + lower, is_image=is_image))
        elif message := detector.fitted_state.digests.message(int(found.known.sum()), len(found.known), lower):
            notes.append(in_words_of(message, is_image=is_image))
        anomalous = _anomalous(stream, found, normal, notes)
        facts = result_facts(detector, found, anomalous)
        if is_image:
            facts |= gallery_facts(detector, found, anomalous, progress)
            facts["samples"] = sample_pictures(detector, found.lowest)
        else:
            facts |= row_facts(detector, found.highest, notes)
            facts["samples"] = sample_rows(detector, found.lowest)
        path = getattr(stream.source, "path", None)
        facts |= model_facts(detector, model_path) | {
            "data": stream.source.name if path is None else path.resolve().name,
            "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
            "unit": "picture" if is_image else "row",
            "notes": notes,
        }
        return cls(facts)

    def to_html(self) -> str:
        """Return the page."""
        return render(self.facts)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the page, whole or not at all; "-" is standard output.

        Returns
        -------
        int
            The size of the page in bytes.
        """
        page = self.to_html().encode("utf-8", "replace")  # a file name may hold bytes that are not text
        with written_whole(path) as file:
            file.write(page)
        return len(page)

    def __repr__(self) -> str:
        return f"Report({self.facts['data']!r}: {self.facts['flagged']} of {self.facts['count']} flagged)"

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        page = html.escape(self.to_html())
        return f'<iframe srcdoc="{page}" title="Anomaly report" width="100%" height="800" style="border:0"></iframe>'


def _anomalous(stream: Stream, found: TopK, normal: str | None, notes: list[str]) -> np.ndarray | None:
    """Return which rows are anomalous, if there are labels of both kinds."""
    if found.labels is None:
        return None
    if not isinstance(stream.source, PictureSource):
        return stream.anomalous(found.labels, normal)
    if words := stream.source.layout.unlabelled_words(found.labels):
        notes.append(f"nothing is measured, because of {words}.")
        return None
    try:
        return stream.anomalous(found.labels, normal)
    except InputError as error:  # a folder of one kind has a report too
        notes.append(f"nothing is measured: {error}")
        return None
