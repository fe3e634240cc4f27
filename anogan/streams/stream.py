"""Chunks of data for a fitted detector, with checks of the columns and notes to report at the end."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import InputError, NoneScoredError
from ..sources.arrays import ArrayFile
from ..sources.dialect import CSVDialect
from ..sources.labels import anomalous_rows, closest, equals
from ..sources.memory import MemorySource
from ..sources.notes import FileNote, in_words_of
from ..sources.pictures import PictureSource, skip_reason, skipped_message
from ..sources.registry import open_source
from ..sources.said import NOTHING_SAID, read_as_said
from ..sources.source import Chunk, Source
from ..sources.table import TableFile
from ..wording import counted
from .progress import Progress, report
from .unscored import Unscored

ROWS_AT_ONCE = 32768
PICTURES_AT_ONCE = 64
_COLUMNS_DROPPED = 50  # in a hint that can be copied into the command
_UNSEEN_KEPT = 1000  # different values per column, so that a column with only new values does not fill the memory

if TYPE_CHECKING:
    from ..data.account import Account


@dataclass
class Stream:
    """The chunks of a source, in the form that a fitted detector accepts.

    Parameters
    ----------
    detector : fitted Detector
    data : path, paths of several files, Source, DataFrame, array or ImageFolder
    drop : sequence of str
        Columns of a table file to leave out.
    label : str or None
        Column of a table file, or the key y of a .npz, that the chunks carry as labels. Pictures carry the names of
        their folders if these say which pictures are normal, and data in memory the labels that it was given with.
    chunk_rows : int or None
        Rows or pictures in a chunk; by default 32768 or 64.
    on_error : {"stop", "skip"} or None
        Raise for a row that cannot be scored or a picture that cannot be read, or leave it out and note it. By default
        rows are skipped and pictures are not.
    strict : bool
        Raise for a value that was not in the training data: an unknown category, or a missing value in a column that
        had none.
    on_gap : {"score", "skip"}
        Whether a row with a missing value in a column that had none in training is scored, as one with an unseen value,
        or cannot be scored.
    part : {"train", "test"}
        Which pictures of a folder to read; see `PictureSource`.
    start : int
        Where the first chunk begins: the `end` of another run's last chunk.
    stop : int, optional
        Where the last chunk ends, if the stream is a part of the data: the `end` of a chunk.
    keep : sequence of str
        Columns of a table file that `carry` lets the chunks carry; the model need not know them.
    dialect : CSVDialect, optional
        How a CSV file at a path is written, as far as that is not to be detected.

    Attributes
    ----------
    source : Source
    unseen : dict of str to Counter
        By column: the values that were not in the training data, and in how many rows they occurred so far.
    unscored : Unscored
        The rows that could not be scored so far.
    skipped : dict of str to str
        The pictures that could not be read so far, and why.
    ranges : RangeCounter
        Values, or pictures, beyond the range of training so far.

    Raises
    ------
    InputError
        If the source does not suit the detector: another kind of data, or columns that are missing or too many.

    Examples
    --------
    >>> import numpy as np, anogan
    >>> X = np.random.default_rng(0).normal(size=(40, 2))
    >>> detector = anogan.DenoisingGAN(**anogan.DenoisingGAN.tiny, random_state=0).fit(X)
    >>> [len(chunk) for chunk in anogan.Stream(detector, X, chunk_rows=25)]
    [25, 15]
    """

    detector: Any
    data: Any
    drop: Sequence[str] = ()
    label: str | None = None
    chunk_rows: int | None = None
    on_error: str | None = None
    strict: bool = False
    on_gap: str = "score"
    part: str = "test"
    start: int = 0
    keep: Sequence[str] = ()
    dialect: CSVDialect | None = None
    stop: int | None = None
    unseen: dict[str, Counter[str]] = field(default_factory=dict)
    unscored: Unscored = field(default_factory=lambda: Unscored())
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.source = _as_source(self.data, self.part, self.dialect)
        self.ranges = self.detector.preprocessor_.range_counter()
        kind = self.detector.preprocessor_.kind
        kinds, words = {
            "table": (("table",), "a table"),
            "vector": (("array",), "an array without column names (.npy or .npz)"),
            "image": (("pictures", "array"), "pictures"),
        }[kind]
        if self.source.kind not in kinds:
            raise InputError(f"The model was fitted on {words}; {self.source.name} is {self.source.description()}.")
        if isinstance(self.source, TableFile):
            self.source = read_as_said(self.source, self.detector.fitted_on_.get("file", NOTHING_SAID))
            self._check_columns(self.source)
            given, types = self.source, self.detector.preprocessor_.column_types()
            given = given.in_units(self.detector.preprocessor_.units())
            label = self.label or given.label
            self.source = given.selecting(text=given.text, keep=given.keep, label=label, types=types)
            return
        for names, verb in ((self.drop, "dropped"), (self.keep, "kept")):
            if names:
                raise InputError(
                    f"Only columns of a table file can be {verb}; {self.source.name} is {self.source.description()}."
                )
        if isinstance(self.source, ArrayFile):
            if self.label is not None and (self.label != "y" or self.source.labels is None):
                raise InputError(f"{self.source.name} has no labels '{self.label}'; a .npz holds them under the key y.")
        elif isinstance(self.source, PictureSource) and self.label is not None:
            raise InputError(
                "--label names a column of a table; the labels of pictures are the names of their folders."
            )

    @classmethod
    def of(cls, detector: Any, X: Any, y: Any = None) -> Stream:
        """Return X as a stream; a stream is returned unchanged.

        Parameters
        ----------
        detector : fitted Detector
        X : Stream, path, Source, DataFrame, array or ImageFolder
        y : (n,) array-like, optional
            Labels of data in memory.
        """
        if y is None:
            return X if isinstance(X, Stream) else cls(detector, X)
        if isinstance(X, Stream | Source | str | os.PathLike):
            raise InputError("y is for data in memory; the labels of a file are named by Stream(..., label=...).")
        return cls(detector, MemorySource(X, y))

    @property
    def total(self) -> int | None:
        """Number of rows or pictures, None if it is known only after reading."""
        return self.source.total

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the rows that can be scored, or the pictures."""
        for chunk in self.chunks():
            usable = chunk.usable()
            if len(usable):
                yield usable

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, also those that cannot be scored; `Chunk.account` has the reasons.

        Raises
        ------
        NoneScoredError
            At the end if no row can be scored.
        """
        is_image = self.detector.preprocessor_.kind == "image"
        rows = self.chunk_rows or (PICTURES_AT_ONCE if is_image else ROWS_AT_ONCE)
        for chunk in self.source.chunks(rows, start=self.start):
            if isinstance(self.source, ArrayFile) and self.label is None:
                chunk = replace(chunk, labels=None)
            if self.source.kind == "pictures" and self.on_error == "skip":
                chunk = self._readable(chunk)
            if len(chunk) and is_image:
                self.ranges.add(chunk.X)
                yield chunk
            elif len(chunk):
                yield self._examined(chunk)
            if self.stop is not None and chunk.end >= self.stop:
                return
        if self.stop is None:
            self.check_any()

    def check_any(self) -> None:
        """Raise `NoneScoredError` if none of the rows or pictures so far can be scored."""
        if self.unscored.rows and self.unscored.rows == self.unscored.examined:
            words = f"{self.source.name} has no row that can be scored. {self.unscored}."
            raise NoneScoredError(words, self.unscored.rows)
        if self.skipped and len(self.skipped) == self.total:
            words = f"None of the {self.total} pictures in {self.source.name} can be read as the model needs them."
            raise NoneScoredError(words, len(self.skipped))

    def scores(self, chunk: Chunk) -> np.ndarray:
        """Return the scores of a chunk of this stream (n,): NaN where a row cannot be scored."""
        usable = chunk.usable()
        if usable is chunk:
            return np.asarray(self.detector.score_part(chunk.X))
        scores = np.full(len(chunk), np.nan)
        if usable.rows is not None and len(usable):
            scores[usable.rows - chunk.first] = self.detector.score_part(usable.X)
        return scores

    def notes(self) -> list[str]:
        """Return sentences about rows of the file and pictures that were left out, and about what is unlike the fit."""
        skipped = [skipped_message(self.skipped)] if self.skipped else []
        if isinstance(self.source, TableFile):
            skipped += [note.text() for note in self.source.notes if isinstance(note, FileNote) and note.in_scores]
        if isinstance(self.source, PictureSource):
            layout = self.source.layout
            skipped += layout.doubts() if self.part == "train" else layout.left_out_notes()
        if self.unscored.rows:
            skipped.append(f"{self.unscored}.")
        unseen = [_unseen_message(column, counts) for column, counts in self.unseen.items()]
        return [*skipped, *unseen, *(note.text(shell=True) for note in self.ranges.notes())]

    def normal_label(self, normal: str | None) -> str | None:
        """Return the label of normal samples: the given one, else that of the fit, if this file or folder has it."""
        said = self.detector.fitted_on_.get("file", NOTHING_SAID)
        if normal is not None:
            return normal
        if isinstance(self.source, PictureSource):
            return said["normal"] if self.source.layout.has_folder(said["normal"]) else None
        return said["normal"] if isinstance(self.source, TableFile) and self.label == said["label"] else None

    def anomalous(self, labels: np.ndarray, normal: str | None) -> np.ndarray:
        """Return which rows or pictures (n,) are anomalous, by the labels of the chunks; see `anomalous_rows`.

        Raises
        ------
        InputError
            If the labels do not say what is normal, or all are of one kind.
        """
        if not isinstance(self.source, PictureSource):
            try:
                return anomalous_rows(labels, normal, self.source.name)
            except InputError as error:
                is_image = self.detector.preprocessor_.spec_.is_image
                raise InputError(in_words_of(str(error), is_image=is_image)) from None
        return self.source.with_normal(normal).layout.anomalous(labels)

    def labels_anomalous(self, labels: np.ndarray, normal: str | None) -> np.ndarray:
        """Return which labels (n,) are those of anomalous rows or pictures, whatever kinds there are: bool (n,)."""
        if isinstance(self.source, PictureSource):
            layout = self.source.with_normal(normal).layout
            return layout.labelled(labels) & ~np.isin(labels, layout.normal_kinds)
        return equals(labels, "1") | equals(labels, "true") if normal is None else ~equals(labels, normal)

    def carry(self, *, everything: bool = False) -> pa.Schema:
        """Let the chunks of a table file carry the keys of its rows and the columns in `keep`; other sources have none.

        Keys are the levels of an index that pandas wrote, and the columns with the role "id".

        Parameters
        ----------
        everything : bool
            Carry all columns of the file.

        Returns
        -------
        pyarrow.Schema
            Names and types of the carried columns.
        """
        if not isinstance(self.source, TableFile):
            return pa.schema([])
        roles = self.detector.roles_
        ids = [name for name in self.source.names if roles.get(name) == "id"]
        chosen = (*self.source.index, *ids, *self.keep, *(self.source.names if everything else ()))
        self.source = self.source.carrying(list(dict.fromkeys(chosen)))
        return self.source.carried_schema

    def rows_at(self, positions: np.ndarray) -> Chunk:
        """Read the source again for some of its rows.

        Parameters
        ----------
        positions : (k,) int
            Numbers of the rows, counted from 0, each at most once.

        Returns
        -------
        Chunk
            These rows in the given order.
        """
        import pandas as pd

        order = np.argsort(positions)
        wanted = positions[order]
        parts: list[Any] = []
        carried: list[pa.Table] = []
        for chunk in self.source.chunks(self.chunk_rows or ROWS_AT_ONCE):
            low, high = np.searchsorted(wanted, [chunk.first, chunk.end])
            rows = wanted[low:high] - chunk.first
            if len(rows):
                parts.append(chunk.X.iloc[rows] if hasattr(chunk.X, "iloc") else chunk.X[rows])
                carried += [] if chunk.carried is None else [chunk.carried.take(pa.array(rows))]
        back = np.argsort(order)
        X = pd.concat(parts).iloc[back] if hasattr(parts[0], "iloc") else np.concatenate(parts)[back]
        return Chunk(0, X, carried=pa.concat_tables(carried).take(pa.array(back)) if carried else None)

    def samples(self, progress: Progress | None = None) -> Iterator[Any]:
        """Yield the data of each chunk, for `Detector.recalibrate` and `Detector.drift`."""
        done = 0
        report(progress, "scoring", done, self.total)
        for chunk in self:
            yield chunk.X
            done += len(chunk)
            report(progress, "scoring", done, self.total)

    def _check_columns(self, source: TableFile) -> None:
        needed = {str(name) for name in self.detector.preprocessor_.column_types()}
        for verb, names in (("dropped", self.drop), ("the label", () if self.label is None else (self.label,))):
            for name in names:
                source.check_column(name)
                if name in needed:
                    raise InputError(f"Column '{name}' cannot be {verb}: the model was fitted on it and needs it.")
        for name in set(self.keep) - set(source.index):
            source.check_column(name)
        ignored = map(str, self.detector.preprocessor_.ignored_)
        taken = {*needed, *ignored, *self.drop, *self.keep, self.label}
        extra = [n for n in source.columns if n not in taken]
        missing = [str(n) for n in self.detector.preprocessor_.column_types() if str(n) not in source.names]
        faults = [f"lacks column '{n}', which the model was fitted on.{closest(n, extra)}" for n in missing]
        if extra and not missing:
            names = ", ".join(f"'{n}'" for n in extra[:10]) + (" ..." if len(extra) > 10 else "")
            options = " ".join(f"--drop {shlex.quote(n)}" for n in extra[:_COLUMNS_DROPPED])
            faults.append(
                f"has columns that the model was not fitted on: {names}. Leave them out (on the command line with "
                f"{options})."
            )
        if faults:
            more = f" (and {len(faults) - 1} more columns are missing)" if len(faults) > 1 else ""
            raise InputError(f"{source.path} {faults[0]}{more}")

    def _examined(self, chunk: Chunk) -> Chunk:
        """Return the chunk with its account, and note rows that cannot be scored and unseen values."""
        preprocessor = self.detector.preprocessor_
        account = preprocessor.account(chunk.X)
        assert account is not None
        account = account.without_cells(chunk.unreadable, preprocessor.columns_)
        if self.on_gap == "skip":
            account = account.without_gaps()
        self.unscored.examined += len(chunk)
        for row in sorted(account.refused):
            if self.on_error == "stop":
                raise InputError(
                    f"{self.source.name}: row {chunk.first + row} cannot be scored: {account.refused[row]}. Correct "
                    "it, or leave out such rows with on_error='skip' (on the command line with --on-error skip)."
                )
            self.unscored.add(chunk.first + row, account.refused[row])
        if account.unseen.any():
            self._note_unseen(chunk.X, account)
        chunk = replace(chunk, account=account)
        usable = chunk.usable()
        if self.source.kind == "table" and len(usable):
            self.ranges.add(usable.X)
        return chunk

    def _note_unseen(self, X: Any, account: Account) -> None:
        for number in np.flatnonzero(account.unseen.any(0)).tolist():
            column = str(account.columns[number])
            values, gone = X.iloc[account.unseen[:, number], X.columns.get_loc(account.columns[number])], "(missing)"
            texts = Counter(values.astype(object).where(values.notna(), gone).astype(str))
            if self.strict:
                raise InputError(f"{self.source.name}: {_unseen_message(column, texts)}")
            kept = self.unseen.setdefault(column, Counter())
            for text, rows in texts.items():
                kept[text if text in kept or len(kept) < _UNSEEN_KEPT else "(others)"] += rows

    def _readable(self, chunk: Chunk) -> Chunk:
        """Return the pictures of a chunk that can be read at the model's shape."""
        pictures = chunk.X.resized(tuple(self.detector.preprocessor_.spec_.shape))
        names = dict(zip(pictures.files, chunk.names or [], strict=True))
        try:
            good, failures = pictures.readable(self.detector.preprocessor_.check_depth)
        except InputError:  # no picture of this chunk can be read; those of others may be
            good, failures = pictures[:0], dict.fromkeys(pictures.files, "cannot be read")
        self.skipped.update({names[file]: skip_reason(file, reason) for file, reason in failures.items()})
        kept = [file not in failures for file in pictures.files]
        return Chunk(
            chunk.first,
            good,
            [names[file] for file in good.files],
            None if chunk.labels is None else chunk.labels[kept],
            chunk.end,
        )


def _as_source(data: Any, part: str, dialect: CSVDialect | None) -> Source:
    if isinstance(data, Source):
        return data
    several = isinstance(data, list | tuple) and data and all(isinstance(item, str | os.PathLike) for item in data)
    if several or isinstance(data, str | os.PathLike):
        return open_source(data, part=part, dialect=dialect)
    return MemorySource(data)


def _unseen_message(column: str, counts: Counter[str]) -> str:
    listed = ", ".join(f"'{value}' ({counted(count, 'row')})" for value, count in counts.most_common(5))
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return f"column '{column}' has values that were not in the training data: {listed}{more}."
