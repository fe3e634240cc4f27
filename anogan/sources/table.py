"""Tables on disk: an opened file and a selection of its rows and columns, which is read in chunks or sampled."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from ..errors import InputError
from ..files.paths import Paths, paths_of
from ..files.remote import is_remote
from ..files.writing import as_text
from .arrow import arrow_types, detector_frame
from .carried import CarriedColumns
from .column_roles import LEFT_OUT_ROLES
from .damage import explained
from .dialect import CSVDialect
from .formats import TableFormat, format_of, reads_in_place
from .holdout import Holdout, KeptRows
from .labels import closest, label_texts
from .notes import Note
from .sampling import UNITS, RowSample, Sample
from .several import SeveralFiles
from .source import Chunk, Source
from .table_rows import TableRows, unreadable_cells

if TYPE_CHECKING:
    import pandas as pd


class Cluster(Protocol):
    """What samples the parts of a file."""

    def samples(
        self, file: TableFile, types: dict[str, pa.DataType], rows: int, seed: int
    ) -> Iterator[tuple[pa.Table, int]]:
        """Yield what `TableFile.part` returns for each part of a file, in order."""


class TableFile(Source):
    """A table in a file of any length: CSV, Parquet, Feather, JSON lines or Excel; or in several such files.

    `Detector.fit` draws a sample of it in one pass, and `anomaly_score` scores it in chunks. Neither loads it as a
    whole.

    Parameters
    ----------
    path : path, pattern or sequence of paths
        A file ending in .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst, .zip), .parquet, .feather, .jsonl or .xlsx, or a
        folder of .parquet files, which are read in the order of their names. A pattern such as ``jan*.csv``, or several
        paths, name files with the same columns that are one table.
    drop : sequence of str
        Columns that are left out.
    text : sequence of str
        Columns that are read as text even if they look like numbers or dates, such as postal codes.
    keep : function of pyarrow.Table -> (n,) bool array, optional
        Selects rows. It gets consecutive rows with the wanted columns and those in `text`, even dropped ones, such as
        ``keep=lambda rows: pc.equal(rows["label"], "normal")``.
    label : str, optional
        Column that `chunks` hands over as labels, read as text.
    types : dict, optional
        Column name -> the type that `chunks` reads it in, as `Preprocessor.column_types` names it. By default all
        columns that are not left out are read, in types that hold all their values.
    dialect : CSVDialect, optional
        Separator, encoding and the like of a CSV file, as far as they are not to be detected.

    Attributes
    ----------
    names : list of str
        All columns in the file's order.
    columns : list of str
        The columns that are not left out.
    index : list of str
        Levels of the index that pandas wrote to a Parquet file. They are not learned from.
    carry : sequence of str
        Columns or index levels that `chunks` hands over beside the data; see `carrying`.
    holdout : Holdout or None
        The rows that are held out; see `holding_out`.

    Raises
    ------
    InputError
        If the file is empty, has a column twice, or is not in the format that its name implies.

    Examples
    --------
    >>> import tempfile, pathlib, pandas
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "amounts.csv"
    >>> pandas.DataFrame({"id": range(5), "amount": 1.5}).to_csv(path, index=False)
    >>> TableFile(path, drop=["id"]).columns
    ['amount']
    """

    kind = "table"
    _unread: frozenset[str] = frozenset()
    _cluster: Cluster | None = None

    def __init__(
        self,
        path: Paths,
        *,
        drop: Sequence[str] = (),
        text: Sequence[str] = (),
        keep: Callable[[pa.Table], Any] | None = None,
        label: str | None = None,
        types: Mapping[Any, str] | None = None,
        dialect: CSVDialect | None = None,
    ) -> None:
        self._paths = paths_of(path)
        for path in self._paths:
            if is_remote(path) and not reads_in_place(path):
                raise InputError(f"{path} is not a Parquet file; `anogan.open_source` copies it to this machine first.")
        for file in (file for path in self._paths for file in (path, *(path.iterdir() if path.is_dir() else ()))):
            if as_text(str(file)) != str(file):
                raise InputError(f"The name of {as_text(str(file))} is not UTF-8, so Arrow cannot open it; rename it.")
        more = f" and {len(self._paths) - 1} more" if len(self._paths) > 1 else ""
        self.name = f"{self._paths[0]}{more}"
        self.path = Path(self.name) if more else self._paths[0]
        self._open(dialect)
        self._select(drop, text, keep, label, types)

    def _open(self, dialect: CSVDialect | None) -> None:
        several = len(self._paths) > 1
        self._format = SeveralFiles(self._paths, dialect) if several else self._opened(self._paths[0], dialect)
        self.names = list(self._format.names)
        self.index = list(self._format.index)
        twice = sorted({n for n in self.names if self.names.count(n) > 1})
        if twice == [""]:
            raise InputError(f"{self.path} has {self.names.count('')} columns without a name; give each of them one.")
        if twice:
            raise InputError(f"{self.path} has column '{twice[0]}' more than once; column names must be unique.")

    @property
    def dialect(self) -> CSVDialect | None:
        """What was said of a CSV file; None for other formats."""
        return self._format.dialect

    def reopened(self, dialect: CSVDialect) -> TableFile:
        """Return the same file and rows in another dialect, with all columns."""
        other = copy.copy(self)
        other._open(dialect)
        other._select((), self.text, self.keep, self.label, self.types)
        return other

    def selecting(
        self,
        *,
        drop: Sequence[str] = (),
        text: Sequence[str] = (),
        keep: Callable[[pa.Table], Any] | None = None,
        label: str | None = None,
        types: Mapping[Any, str] | None = None,
    ) -> TableFile:
        """Return the same file, opened in the same dialect, with another selection of columns and rows."""
        other = copy.copy(self)
        other._select(drop, text, keep, label, types)
        return other

    def carrying(self, columns: Sequence[str]) -> TableFile:
        """Return the same file and selection, whose chunks carry some columns or index levels beside the data.

        An index level without a name is called as pandas calls it. `carried_schema` has the names and types, which are
        those that the file stores: the columns of a CSV file are carried as text, unless `types` has another type.
        """
        other = copy.copy(self)
        with self._explained():
            values = [str(name) for name, kind in (self.types or {}).items() if kind != "string"]
            other._carried = CarriedColumns.of(self._rows, columns, self.index, values)
        return other

    @property
    def carry(self) -> Sequence[str]:
        """The columns or index levels that `chunks` hands over beside the data."""
        return list(self._carried.types)

    @property
    def carried_schema(self) -> pa.Schema:
        """Names and types of the carried columns in `Chunk.carried`."""
        return self._carried.schema

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as a whole, of all rows, in a type that holds all its values."""
        rows = self.selecting()._rows
        try:
            types = rows.types([name])
        except InputError:  # numbers among other texts
            types = {name: pa.string()}
        return pa.chunked_array([table.column(0).combine_chunks() for table in rows.tables(types)])

    def holding_out(self, share: float, *, seed: int | None = None, by: str | None = None) -> TableFile:
        """Return the same file and selection without some rows, which `evaluate` finds by the fitted model.

        Parameters
        ----------
        share : float
            Share of the rows, in (0, 1).
        seed : int, optional
            Seed of a random choice. Without it the last rows are held out.
        by : str, optional
            Column of numbers or dates, whose highest values are last; by default the order in the file. The format of
            dates is recognised as in a fit, or given after a colon, such as ``"day:%d%m%Y"``; it is said in a
            `ColumnWarning` if nothing decides between two.

        Raises
        ------
        InputError
            The share is not between 0 and 1 or leaves nothing, or `by` has values that cannot be ordered.
        """
        other = copy.copy(self)
        other.holdout = Holdout.of(self, share, seed=seed, by=by)
        other.keep = KeptRows(other.holdout.mask(self, other.holdout.rows), self.keep)
        return other

    def _select(
        self,
        drop: Sequence[str],
        text: Sequence[str],
        keep: Callable[[pa.Table], Any] | None,
        label: str | None,
        types: Mapping[Any, str] | None,
    ) -> None:
        self.label = label
        self.text = (*text, *(() if label is None else (label,)))
        self.keep = keep
        self._carried = CarriedColumns()
        self.holdout: Holdout | None = None
        self.types = types
        for name in (*drop, *self.text):
            self.check_column(name)
        self.columns = [name for name in self.names if name not in drop and name != label]
        if not self.columns:
            raise InputError(f"{self.path} has no columns left to learn from.")

    @staticmethod
    def _opened(path: Path, dialect: CSVDialect | None) -> TableFormat:
        found = format_of(path)
        if found is None and path.is_dir():
            ends = " or ".join(suffix for cls in TableFormat.known if cls.folders for suffix in cls.suffixes)
            raise InputError(f"There are no {ends} files in the folder '{path}'.")
        if found is None:
            ends = ", ".join(sorted({suffix for cls in TableFormat.known for suffix in cls.suffixes}))
            raise InputError(f"{path} is not a table that can be read; needed is a name that ends in {ends}.")
        with explained(path):
            return found.open(path, dialect)

    def in_units(self, units: Mapping[str, str]) -> TableFile:
        """Return the same file and selection, whose numbers written as text are unreadable in other units.

        Parameters
        ----------
        units : dict
            Column name -> unit, as `Preprocessor.units` returns them.
        """
        other = copy.copy(self)
        other._format = self._format.in_units(units)
        return other

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Return whether there is a table at a path, which may be a folder."""
        return format_of(path) is not None

    def in_roles(self, roles: Mapping[Any, str] | None) -> TableFile:
        """Return this file, of which `sample` reads columns as their roles need them.

        Columns that are left out are not read and stand empty in the sample. Those whose role does not need numbers are
        read as text, unless the file stores types.
        """
        copied = copy.copy(self)
        given = {str(name): str(role) for name, role in (roles or {}).items() if str(name) in self.columns}
        copied._unread = frozenset(name for name, role in given.items() if role in LEFT_OUT_ROLES)
        if not self._format.stores_types:
            as_text = (name for name, role in given.items() if not role.startswith("number"))
            copied.text = (*self.text, *(name for name in as_text if name not in copied._unread))
        return copied

    def check_column(self, name: str) -> None:
        """Raise `InputError` with the closest name if the file has no such column."""
        if name not in self.names:
            raise InputError(f"{self.path} has no column '{name}'.{closest(name, self.names)}")

    @property
    def paths(self) -> list[Path]:
        """The files or folders that are read."""
        return self._paths

    @property
    def notes(self) -> Sequence[Note]:
        """What was seen in the file that its user should know; reading adds notes about columns."""
        return self._format.notes

    @property
    def total(self) -> int | None:
        """Number of rows in the file, None if it is known only after reading."""
        with self._explained():
            return self._format.total

    def read(self) -> pa.Table:
        """Return all rows that `keep` selects, in types that hold all of them."""
        with self._explained():
            types = self._rows.types(self.columns)
        return pa.concat_tables(list(self._rows.readable(types)))

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` rows at a time in constant memory, with DataFrames that detectors accept.

        Cells that are not of their column's type are missing in the DataFrames; `Chunk.unreadable` has them.
        """
        columns: list[Any] = self.columns if self.types is None else list(self.types)
        if self.types is None:
            with self._explained():
                types = self._rows.types(self.columns)
        else:
            types = self._wanted(self.types)
        read = types if self.label is None else types | {self.label: pa.string()}
        first = start
        carried = self._carried.tables(self._rows, rows, start)
        for table in self._rows.tables(read, rows, start, strict=self.types is not None):
            labels = None
            if self.label is not None:
                labels = label_texts(table.column(self.label), self.label, self.path, first=first)
            frame = self.frame(table.select([str(name) for name in columns]))
            frame.columns = columns
            yield Chunk(first, frame, None, labels, first + len(frame), unreadable_cells(table), next(carried))
            first += len(frame)

    def frames(self, types: Mapping[Any, str]) -> Iterator[pd.DataFrame]:
        """Yield some columns in given types, some thousand rows at a time.

        Parameters
        ----------
        types : dict
            Column name -> type that it must have (in CSV: be readable as), as in `Preprocessor.column_types`. A name
            that is not a string is found by its text.
        """
        for table in self._rows.readable(self._wanted(types), strict=True):
            frame = self.frame(table)
            frame.columns = list(types)
            yield frame

    def sample(self, rows: int, seed: int, progress: Callable[[int], None] | None = None) -> RowSample:
        """Draw up to `rows` rows uniformly without replacement.

        Every row gets a random number, and those with the smallest are kept. This takes one pass (for CSV a further one
        before it, to learn the columns' types) and memory for 1.5 times the sample. The sample depends only on the seed
        and on the order of the rows.

        Parameters
        ----------
        rows : int
        seed : int
        progress : function of int, optional
            Called with the number of rows that were read so far.

        Raises
        ------
        InputError
            If there are no rows, or a text column has too many different values to be used.
        """
        wanted = [name for name in self.columns if name not in self._unread]
        if not wanted:
            raise InputError(f"{self.path}: all columns are left out; at least one is needed to learn from.")
        sample = Sample(rows)
        with self._explained(lambda: f" (after row {sample.seen})" if sample.seen else ""):
            types = self._rows.types(wanted)
            if self._cluster is None:
                sample.draw(self._rows.readable(types), seed, progress=progress)
            else:
                sample.join(self._cluster.samples(self, types, rows, seed), progress=progress)
                self._rows.check_any(sample.seen)
        drawn, known = sample.known()
        frame = self.frame(known)
        if units := {name: unit for name, unit in self._format.units.items() if unit}:
            frame.attrs[UNITS] = units
        for position, name in enumerate(self.columns):
            if name in self._unread:
                frame.insert(position, name, None)
        return RowSample(frame[:drawn], frame, sample.seen)

    def sampled_by(self, cluster: Cluster) -> TableFile:
        """Return the same file and selection, whose parts a cluster samples; the sample is the same.

        Parameters
        ----------
        cluster : SparkEngine or RayEngine
            All its nodes must be able to read the file.

        Raises
        ------
        InputError
            The file has no length before it is read, as a CSV file, or rows are held out.
        """
        if self._format.total is None:
            raise InputError(
                f"{self.name} cannot be sampled in parts, since its rows have no numbers before all are read; a "
                "Parquet file or a folder of them can."
            )
        if self.holdout is not None:
            raise InputError("A cluster does not hold out rows; keep them in a file of their own.")
        other = copy.copy(self)
        other._cluster = cluster
        return other

    def part(
        self, types: dict[str, pa.DataType], start: int, stop: int, rows: int, seed: int, limit: float
    ) -> tuple[pa.Table, int]:
        """Return the part of a sample that lies in some rows of the file, for `Sample.merge`.

        Without `keep`, the rows' keys are those that `sample` draws.
        """
        sample = Sample(rows, limit)
        with self._explained():
            sample.draw(self._rows.batches(types, start=start, stop=stop), seed, skipped=start)
        return sample.to_table(), sample.seen

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """Return a DataFrame that detectors accept; see `anogan.sources.arrow.detector_frame`."""
        return detector_frame(table, self.path)

    @property
    def _rows(self) -> TableRows:
        return TableRows(self.path, self._format, self.text, self.keep)

    def _wanted(self, types: Mapping[Any, str]) -> dict[str, pa.DataType]:
        wanted = arrow_types(types)
        for name in wanted:
            if name not in self.names:
                raise InputError(f"{self.path} has no column '{name}', which the model needs.")
        return wanted

    def _explained(self, where: Callable[[], str] = lambda: "") -> contextlib.AbstractContextManager[None]:
        return explained(self.path, where=where)
