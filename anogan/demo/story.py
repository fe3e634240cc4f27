"""What `anogan demo` does: a table and pictures, compared, explained, and written to a folder with a page."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation

from ..engine.callbacks import Callback
from ..evaluation.metrics import pixel_maps
from ..files.writing import written_whole
from ..reporting.html import render
from ..reporting.maps import drawn
from ..reporting.pictures import as_bytes, as_data_uri
from ..reporting.report import Report
from ..streams.progress import Progress
from .comparing import Comparison, compare
from .data import Coins, Hawks, load_coins, load_hawks

PAGE = "index.html"
_ROWS = 3  # with reasons, of the highest scores
_SHOWN = 2  # pictures of each kind
_NEAR = 4  # pixels from the defect within which the highest point of a map counts as on it
_PAIRS = (
    "Of 100 pairs right: take an unusual and an ordinary one; how often has the unusual one the higher score? "
    "100 is perfect, 50 is guessing."
)
_LIMITS = (
    "The hawks are an easy table, on which any good method ranks nearly all rows rightly, and "
    "frames of one photograph vary less than real parts do. How the detectors compare on many tables and on real "
    "defects, where they lose, and by how much, is measured in the repository's benchmarks. A detector of ordinary "
    "rows finds what looks unusual: debtors who will not pay, for example, often look like all others."
)


@dataclass(frozen=True)
class Demonstration:
    """What was found, as text for a terminal, and the page that shows it.

    Attributes
    ----------
    parts : list of Part
    page : Path
    """

    parts: list[Part]
    page: Path

    def __str__(self) -> str:
        closing = [
            _wrapped(_PAIRS),
            _wrapped(f"What this cannot show. {_LIMITS}"),
            f"Open this page: {self.page.resolve()}",
        ]
        return "\n\n".join([*map(str, self.parts), *closing])


@dataclass(frozen=True)
class Part:
    """One half of the demo.

    Attributes
    ----------
    title, about : str
        What the data are.
    said : list of str
        Sentences about the results.
    table : list of tuple of str
        A heading and one line for each method.
    examples : list of dict
        Rows with their reasons, or pictures with their maps.
    page : str
        File name of the full report.
    """

    title: str
    about: str
    said: list[str]
    table: list[tuple[str, ...]]
    examples: list[dict[str, Any]]
    page: str

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.table, strict=True)]
        lines = [self.title, "", _wrapped(self.about), ""]
        for first, *rest in self.table:
            cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
            lines.append("  " + "  ".join(cells))
        lines += ["", *map(_wrapped, self.said)]
        reasons = [f"{row['name']}: {'; '.join(row['reasons'])}" for row in self.examples if "reasons" in row]
        if reasons:
            lines += ["Why:", *(_wrapped(reason, "  ") for reason in reasons)]
        return "\n".join(lines)


def demonstrate(
    folder: str | os.PathLike[str], *, callbacks: Sequence[Callback] = (), progress: Progress | None = None
) -> Demonstration:
    """Fit, score, compare and explain on two sets of real data, and write pages, scores and models.

    Parameters
    ----------
    folder : path
        Where the files go. ``index.html`` is the page to open; it leads to a full report of each set.
    callbacks : list of Callback, optional
        Of the trainings.
    progress : function of (str, int, int or None), optional
        Called while the reports are made.

    Returns
    -------
    Demonstration
        What was found; ``str`` of it is the text that `anogan demo` prints.

    Raises
    ------
    InputError
        If the packages with the data are not installed.
    """
    folder = Path(folder)
    table, pictures = load_hawks(), load_coins()

    def compared(name: str, data: Hawks | Coins, kinds: np.ndarray) -> Comparison:
        found = compare(data.train, data.new, data.unusual, callbacks)
        report = Report.from_estimator(found.detector, data.new, data.unusual.astype(int), top=40, progress=progress)
        report.save(folder / f"{name}.html")
        found.detector.save(folder / f"{name}.anogan")
        _write_scores(found, kinds, folder / f"{name}_scores.csv")
        return found

    parts = [
        _of_hawks(compared("hawks", table, table.species), table, "hawks.html"),
        _of_coins(compared("coins", pictures, pictures.kind), pictures, "coins.html"),
    ]
    with written_whole(folder / PAGE) as file:
        file.write(render({"parts": parts, "pairs": _PAIRS, "limits": _LIMITS}, "demo").encode())
    return Demonstration(parts, folder / PAGE)


def _of_hawks(found: Comparison, data: Hawks, page: str) -> Part:
    order = np.argsort(-found.methods[0].scores)
    rows = [*order[:_ROWS], order[~found.unusual[order]][0]]
    reasons = found.detector.reasons(data.new.iloc[rows], count=3)
    examples = []
    for place, row in enumerate(rows):
        name = f"{data.species[row]}, score {found.methods[0].scores[row]:.3g}"
        if not found.unusual[row]:
            state = "by its label a false alarm" if found.flags[row] else "not flagged"
            name = f"the highest of the ordinary ones, {name} ({state})"
        examples.append({"name": name, "reasons": reasons.loc[reasons["row"] == place, "text"].tolist()})
    missing = float(np.mean(data.new.isna().to_numpy()))
    other = int(data.unusual.sum())
    about = (
        f"{len(data.train)} red-tailed hawks are the ordinary rows to learn from. {len(data.new)} other hawks are new, "
        f"of which {other} belong to two other species. No label is used for learning. {data.new.shape[1]} columns, "
        f"numbers and text; {missing:.0%} of the new cells are missing; errors of recording are left as they are."
    )
    said = [found.verdict(), found.found("hawk"), found.promise("hawk")]
    return Part("A table: which hawks are not red-tailed hawks?", about, said, found.table(), examples, page)


def _of_coins(found: Comparison, data: Coins, page: str) -> Part:
    maps = pixel_maps(found.detector.explain(data.new))
    calibration = found.detector.calibration_
    shown = [
        row
        for kind in ("scratch", "stain", "missing coin", "good")
        for row in np.flatnonzero(data.kind == kind)[:_SHOWN]
    ]
    examples: list[dict[str, Any]] = []
    for row in shown:
        overlay = drawn(data.new[row], maps[row], calibration.map_start, calibration.map_threshold)
        state = "flagged" if found.flags[row] else "not flagged"
        examples.append(
            {
                "name": f"{data.kind[row]}, {state}",
                "picture": as_data_uri(as_bytes(data.new[row]), len(shown) * 2),
                "overlay": as_data_uri(as_bytes(overlay.transpose(2, 0, 1)), len(shown) * 2),
            }
        )
    peaks = [maps[row].argmax() for row in np.flatnonzero(data.unusual)]
    near = [binary_dilation(mask, iterations=_NEAR).ravel() for mask in data.masks[data.unusual]]
    on = sum(bool(mask[peak]) for mask, peak in zip(near, peaks, strict=True))
    defects = int(data.unusual.sum())
    about = (
        f"{len(data.train)} good pictures show the same 24 coins: a real photograph (from scikit-image), shifted, lit "
        f"and noisy as frames of a camera are. Of {len(data.new)} new pictures {defects} have a scratch, a stain or a "
        "missing coin. The photograph is real, the defects are painted. The classical methods see the pixels."
    )
    said = [
        found.verdict(),
        found.found("picture"),
        f"The highest point of the map lies on the defect (within {_NEAR} pixels) in {on} of {len(peaks)} pictures.",
        found.promise("picture"),
    ]
    return Part("Pictures: where are the defects?", about, said, found.table(), examples, page)


def _write_scores(found: Comparison, kinds: np.ndarray, path: Path) -> None:
    columns: dict[str, Any] = {"row": np.arange(len(kinds)), "kind": kinds, "unusual": found.unusual}
    columns |= {f"{method.name.replace(' ', '_')}_score": method.scores for method in found.methods}
    columns |= {"p_value": found.detector.calibration_.p_value(found.methods[0].scores), "flag": found.flags}
    with written_whole(path) as file:
        pd.DataFrame(columns).to_csv(file, index=False)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 100, initial_indent=indent, subsequent_indent=f"{indent}  " if indent else "")
