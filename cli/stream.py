"""Data on its way to a fitted detector: columns checked, chunk by chunk; what to report at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from anogan import InputError, TableFile

from .io import ArraySource, PictureSource, Source, closest, label_texts, open_source, warn
from .progress import Reporter

ROWS_AT_ONCE = 32768
PICTURES_AT_ONCE = 256
_SKIPPED_LISTED = 20
_UNSEEN_KEPT = 1000  # different values per column; a column of ever new ones must not fill the memory


@dataclass
class Chunk:
    """Consecutive rows or pictures.

    Attributes
    ----------
    first : int
        Number of the first row, counted from 0.
    X : DataFrame, array or ImageFolder
        As the detector takes it.
    names : list of str or None
        File names of pictures.
    labels : (n,) array of str or None
    end : int
        Where the next chunk begins; between are n rows, and pictures that were skipped.
    """

    first: int
    X: Any
    names: list[str] | None = None
    labels: np.ndarray | None = None
    end: int = 0

    def __len__(self) -> int:
        return len(self.X)

    def ids(self) -> pa.Array:
        """File names, or row numbers."""
        return pa.array(self.names if self.names is not None else np.arange(self.first, self.first + len(self)))

    def one(self, row: int) -> "Chunk":
        """One of the rows, as a chunk that does not keep the others in memory."""
        part = self.X.iloc[row : row + 1] if isinstance(self.X, pd.DataFrame) else self.X[row : row + 1]
        names = None if self.names is None else self.names[row : row + 1]
        labels = None if self.labels is None else self.labels[row : row + 1].copy()
        return Chunk(self.first + row, part.copy() if hasattr(part, "copy") else part, names, labels)


@dataclass
class Stream:
    """The chunks of a source for a detector.

    Parameters
    ----------
    detector : fitted Detector
    path : str
    drop : sequence of str
        Columns of a table to leave out.
    label : str or None
        Column of a table (or the key y of a .npz) to hand over as labels.
    chunk_rows : int or None
    skip_errors : bool
        Leave out pictures that cannot be read.
    strict : bool
        Raise for a category that was not in training.
    part : {"train", "test"}
        Of a folder in MVTec layout.
    start : int
        Where the first chunk begins: the `end` of another run's last chunk.

    Raises
    ------
    InputError
        If the source does not suit the detector: other kind of data, columns missing or too many.
    """

    detector: Any
    path: str
    drop: Sequence[str] = ()
    label: str | None = None
    chunk_rows: int | None = None
    skip_errors: bool = False
    strict: bool = False
    part: str = "test"
    start: int = 0
    unseen: dict[str, Counter[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source: Source = open_source(self.path, part=self.part)
        kind = self.detector.preprocessor_.kind
        needed: dict[str, tuple[tuple[type, ...], str]] = {
            "table": ((TableFile,), "a table"),
            "vector": ((ArraySource,), "an array without column names (.npy or .npz)"),
            "image": ((PictureSource, ArraySource), "pictures"),
        }
        source_types, words = needed[kind]
        if not isinstance(self.source, source_types):
            raise InputError(f"The model was fitted on {words}; {self.path} is {_describe(self.source)}.")
        if isinstance(self.source, TableFile):
            self._check_columns(self.source)
            if self.label is not None:
                self.source = TableFile(self.path, text=(self.label,))
            return
        if self.drop:
            raise InputError(f"--drop names columns of a table; {self.path} is {_describe(self.source)}.")
        if isinstance(self.source, ArraySource):
            self._check_key(self.source)
        elif isinstance(self.source, PictureSource) and self.label is not None and not self.source.layout:
            raise InputError(f"--label: {self.path} is a folder of pictures without labels (no MVTec layout).")

    def _check_key(self, source: ArraySource) -> None:
        if self.label is not None and (self.label != "y" or source.labels is None):
            raise InputError(f"{self.path} has no labels '{self.label}'; a .npz holds them under the key y.")

    @property
    def total(self) -> int | None:
        """Number of rows or pictures, None where only reading on tells."""
        if isinstance(self.source, TableFile):
            return self.source.total
        if isinstance(self.source, ArraySource):
            return self.source.shape[0]
        return len(self.source.pictures) if isinstance(self.source, PictureSource) else None

    def __iter__(self) -> Iterator[Chunk]:
        if isinstance(self.source, TableFile):
            return self._table_chunks(self.source)
        if isinstance(self.source, ArraySource):
            return self._array_chunks(self.source)
        return self._picture_chunks(self.source)

    def notes(self) -> list[str]:
        """What was skipped and what was never seen in training, a sentence each."""
        unseen = [_unseen_message(column, counts) for column, counts in self.unseen.items()]
        return [*([_skipped_message(self.skipped)] if self.skipped else []), *unseen]

    def samples(self, reporter: Reporter) -> Iterator[Any]:
        """The chunks' data, with progress."""
        reporter.begin("scoring", self.total)
        for chunk in self:
            yield chunk.X
            reporter.advance(len(chunk))

    def report(self) -> None:
        """Warn of what there is to note; one line each."""
        for note in self.notes():
            warn(note)

    def _check_columns(self, source: TableFile) -> None:
        self._names = {str(n): n for n in self.detector.preprocessor_.column_types()}
        for option, names in (
            ("--drop", self.drop),
            ("--label", () if self.label is None else (self.label,)),
        ):
            for name in names:
                if name not in source.names:
                    raise InputError(f"{option}: {self.path} has no column '{name}'.{closest(name, source.names)}")
                if name in self._names:
                    raise InputError(f"{option} {name}: the model was fitted on this column and needs it.")
        taken = {*self._names, *self.drop, self.label}
        extra = [n for n in source.names if n not in taken]
        missing = [n for n in self._names if n not in source.names]
        faults = [f"lacks column '{n}', which the model was fitted on.{closest(n, extra)}" for n in missing]
        if extra and not missing:
            names = ", ".join(f"'{n}'" for n in extra[:10]) + (" ..." if len(extra) > 10 else "")
            options = " ".join(f"--drop {n}" for n in extra[:10])
            faults.append(f"has columns that the model was not fitted on: {names}. Leave them out with {options}.")
        if faults:
            more = f" (and {len(faults) - 1} more columns are missing)" if len(faults) > 1 else ""
            raise InputError(f"{self.path} {faults[0]}{more}")

    def _table_chunks(self, source: TableFile) -> Iterator[Chunk]:
        preprocessor = self.detector.preprocessor_
        types = {str(name): kind for name, kind in preprocessor.column_types().items()}
        label = {} if self.label is None else {self.label: "string"}
        first = self.start
        for table in source.chunks(types | label, self.chunk_rows or ROWS_AT_ONCE, start=self.start):
            labels = None
            if self.label is not None:
                labels = label_texts(table.column(self.label), self.label, source.path, first=first)
            frame = source.frame(table.select(list(types)))
            frame.columns = pd.Index(list(self._names.values()))
            self._note_unseen(preprocessor.unseen_categories(frame))
            yield Chunk(first, frame, labels=labels, end=first + len(frame))
            first += table.num_rows

    def _note_unseen(self, found: dict[Any, dict[Any, int]]) -> None:
        for column, counts in found.items():
            texts = Counter({"(missing)" if v is None else str(v): n for v, n in counts.items()})
            if self.strict:
                raise InputError(f"{self.path}: {_unseen_message(str(column), texts)}")
            kept = self.unseen.setdefault(str(column), Counter())
            for text, rows in texts.items():
                kept[text if text in kept or len(kept) < _UNSEEN_KEPT else "(others)"] += rows

    def _array_chunks(self, source: ArraySource) -> Iterator[Chunk]:
        is_image = self.detector.preprocessor_.kind == "image"
        first = 0
        for array in source.chunks(self.chunk_rows or (PICTURES_AT_ONCE if is_image else ROWS_AT_ONCE)):
            labels = None
            if self.label is not None and source.labels is not None:
                labels = source.labels[first : first + len(array)]
            if first >= self.start:
                yield Chunk(first, array, labels=labels, end=first + len(array))
            first += len(array)

    def _picture_chunks(self, source: PictureSource) -> Iterator[Chunk]:
        step = self.chunk_rows or PICTURES_AT_ONCE
        for first in range(self.start, len(source.pictures), step):
            pictures = source.pictures[first : first + step]
            if self.skip_errors:
                pictures = self._readable(pictures)
            if not len(pictures):
                continue
            names = [source.name_of(file) for file in pictures.files]
            labels = None
            if source.layout is not None and self.part == "test":
                labels = np.array([source.layout.kind_of(file) for file in pictures.files])
            yield Chunk(first, pictures, names, labels, first + step)

    def _readable(self, pictures: Any) -> Any:
        """Those that can be read at the model's shape."""
        pictures = pictures.resized(tuple(self.detector.preprocessor_.spec_.shape))
        try:
            good, failures = pictures.readable()
        except InputError:  # none of this chunk; others may be better
            good, failures = pictures[:0], dict.fromkeys(pictures.files, "cannot be read")
        self.skipped.update(skip_reasons(failures, self.source))
        if len(self.skipped) == self.total:
            raise InputError(f"None of the {self.total} pictures in {self.path} can be read as the model needs them.")
        return good


_Scored: TypeAlias = list[tuple[Chunk, float]]


@dataclass
class TopK:
    """A stream's scores, and its extreme rows.

    Attributes
    ----------
    scores : (n,) float64
    labels : (n,) array of str or None
    highest, lowest : list of (Chunk, float)
        Rows as chunks of one with their scores, the most extreme first.
    """

    scores: np.ndarray
    labels: np.ndarray | None
    highest: _Scored
    lowest: _Scored


def ranked(detector: Any, stream: Stream, reporter: Reporter, *, highest: int, lowest: int = 0) -> TopK:
    """Score a stream in one pass; of the rows themselves only the extreme ones are kept."""
    scores, labels = [], []
    top: _Scored = []
    bottom: _Scored = []
    reporter.begin("scoring", stream.total)
    for chunk in stream:
        found = detector.anomaly_score(chunk.X)
        scores.append(found)
        if chunk.labels is not None:
            labels.append(chunk.labels)
        top = _extremes(top, chunk, found, highest, sign=-1)
        bottom = _extremes(bottom, chunk, found, lowest, sign=1)
        reporter.advance(len(chunk))
    return TopK(np.concatenate(scores), np.concatenate(labels) if labels else None, top, bottom)


def _extremes(kept: _Scored, chunk: Chunk, scores: np.ndarray, count: int, *, sign: int) -> _Scored:
    """The `count` first of what was kept and of a chunk, by ``sign * score``; of ties the earlier."""
    limit = sign * kept[-1][1] if 0 < len(kept) == count else np.inf
    rows = [row for row in np.argsort(sign * scores, kind="stable")[:count] if sign * scores[row] < limit]
    merged = kept + [(chunk.one(int(row)), float(scores[row])) for row in rows]
    return sorted(merged, key=lambda entry: sign * entry[1])[:count]


def normal_label(stream: Stream, normal: str | None) -> str | None:
    """The label of normal samples: what the user said, or "good" in MVTec layout.

    Raises
    ------
    InputError
        If the user says it of pictures, whose folders do.
    """
    if not isinstance(stream.source, PictureSource):
        return normal
    if stream.label is not None or normal is not None:
        raise InputError("--label and --normal are for tables; in a folder in MVTec layout test/good is normal.")
    return "good"


def skip_reasons(failures: dict[Path, str], source: Any) -> dict[str, str]:
    """Name of each unreadable picture -> reason, without the file name that the reason begins with."""
    return {source.name_of(file): reason.removeprefix(f"{file}: ").rstrip(".") for file, reason in failures.items()}


def warn_skipped(skipped: dict[str, str]) -> None:
    """One line that names the pictures that were left out."""
    if skipped:
        warn(_skipped_message(skipped))


def _skipped_message(skipped: dict[str, str]) -> str:
    listed = [f"{name} ({reason})" for name, reason in list(skipped.items())[:_SKIPPED_LISTED]]
    more = f" and {len(skipped) - len(listed)} more" if len(skipped) > len(listed) else ""
    return f"skipped {len(skipped)} pictures that cannot be read: {', '.join(listed)}{more}."


def _describe(source: Any) -> str:
    if isinstance(source, TableFile):
        return "a table"
    return f"an array of shape {source.shape}" if isinstance(source, ArraySource) else "a folder of pictures"


def _unseen_message(column: str, counts: Counter[str]) -> str:
    listed = ", ".join(f"'{value}' ({count:,} rows)" for value, count in counts.most_common(5))
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return f"column '{column}' has values that were not in the training data: {listed}{more}."


def column_label(name: str | int) -> str:
    """What a column is called; those of arrays have numbers."""
    return f"column {name}" if isinstance(name, int) else name
