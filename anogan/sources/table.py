"""Tables on disk, read in chunks and sampled in one pass, so that a file of any length fits in memory."""

from __future__ import annotations

import contextlib
import copy
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .damage import explained
from .dialect import CSVDialect
from .formats import UNREADABLE, TableFormat, format_of, kind_words, reads_in_place
from .holdout import Holdout, KeptRows
from .labels import closest, label_texts
from .notes import Note
from .paths import Paths, paths_of
from .remote import is_remote
from .sampling import Sample
from .several import SeveralFiles
from .source import Chunk, Source
from .writing import as_text

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 32768
_UNNAMED_LEVEL = re.compile(r"__index_level_\d+__")
_TYPES = {
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}
"""Name of a column type in `Preprocessor.column_types` -> Arrow type in which the column is read."""


class RowSample(NamedTuple):
    """Rows of a file for `Detector.fit`.

    Attributes
    ----------
    frame : DataFrame
        A uniform sample without replacement, in the file's order.
    known : DataFrame
        The same rows, followed by the first row of each kind of value that the sample may miss: for each column a
        missing value, an infinity, and each text.
    total : int
        Rows that the sample was drawn from.
    """

    frame: pd.DataFrame
    known: pd.DataFrame
    total: int


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

        An index level without a name is called as pandas calls it. `carried_schema` has the names and types; a column
        of numbers with other texts among them is carried as text.
        """
        other = copy.copy(self)
        other.carry = list(columns)
        with self._explained():
            types = self._carried_types(columns)
        unnamed = [name for name in types if _UNNAMED_LEVEL.fullmatch(name)]
        names = {name: name[len("__index_") : -len("__")] for name in unnamed} if len(self.index) > 1 else {}
        names = names or dict.fromkeys(unnamed, "index")
        other.carried_schema = pa.schema([(names.get(name, name), types[name]) for name in columns])
        return other

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as a whole, of all rows, in a type that holds all its values."""
        file = self.selecting().carrying([name])
        types = {name: file.carried_schema.types[0]}
        return pa.chunked_array([table.column(0).combine_chunks() for table in file._tables(types, ROWS_AT_ONCE)])

    def holding_out(self, share: float, *, seed: int | None = None, by: str | None = None) -> TableFile:
        """Return the same file and selection without some rows, which `evaluate` finds by the fitted model.

        Parameters
        ----------
        share : float
            Share of the rows, in (0, 1).
        seed : int, optional
            Seed of a random choice. Without it the last rows are held out.
        by : str, optional
            Column of numbers or dates, whose highest values are last; by default the order in the file.

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
        self.carry: Sequence[str] = ()
        self.carried_schema = pa.schema([])
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

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Return whether there is a table at a path, which may be a folder."""
        return format_of(path) is not None

    def in_roles(self, roles: Mapping[Any, str] | None) -> TableFile:
        """Return this file, of which `sample` reads columns as their roles need them.

        Columns that are left out are not read and stand empty in the sample. Those whose role does not need numbers are
        read as text, unless the file stores types.
        """
        from ..data.columns.roles import LEFT_OUT_ROLES  # loads scikit-learn

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
            types = self._inferred(self.columns)
        tables = list(self._readable(types, ROWS_AT_ONCE))
        return pa.concat_tables(tables)

    def chunks(self, rows: int, *, start: int = 0) -> Iterator[Chunk]:
        """Yield `rows` rows at a time in constant memory, with DataFrames that detectors accept.

        Cells that are not of their column's type are missing in the DataFrames; `Chunk.unreadable` has them.
        """
        if self.types is None:
            with self._explained():
                inferred = self._inferred(self.columns)
            tables = self._tables(inferred | self._label_type(), rows, start)
            columns: list[Any] = self.columns
        else:
            tables = self._tables(self._wanted(self.types) | self._label_type(), rows, start, strict=True)
            columns = list(self.types)
        first = start
        carried = self._carried(rows, start)
        for table in tables:
            labels = None
            if self.label is not None:
                labels = label_texts(table.column(self.label), self.label, self.path, first=first)
            frame = self.frame(table.select([str(name) for name in columns]))
            frame.columns = columns
            unreadable = _unreadable(table)
            yield Chunk(first, frame, None, labels, first + len(frame), unreadable, next(carried))
            first += len(frame)

    def frames(self, types: Mapping[Any, str]) -> Iterator[pd.DataFrame]:
        """Yield some columns in given types, `ROWS_AT_ONCE` rows at a time.

        Parameters
        ----------
        types : dict
            Column name -> type that it must have (in CSV: be readable as), as in `Preprocessor.column_types`. A name
            that is not a string is found by its text.
        """
        for table in self._readable(self._wanted(types), ROWS_AT_ONCE, strict=True):
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
        rng = np.random.default_rng(seed)
        sample = Sample(rows)
        with self._explained(lambda: f" (after row {sample.seen})" if sample.seen else ""):
            types = self._inferred(wanted)
            if self._cluster is not None:
                for part, seen in self._cluster.samples(self, types, rows, seed):
                    sample.merge(part, seen)
                    if progress is not None:
                        progress(sample.seen)
                self._check_any(sample.seen)
            for table in self._readable(types, ROWS_AT_ONCE) if self._cluster is None else ():
                sample.offer(table, rng.random(table.num_rows))
                if progress is not None:
                    progress(sample.seen)
        drawn, _ = sample.rows.drawn()
        frame = self.frame(pa.concat_tables([drawn, *sample.rare.rows]))
        for position, name in enumerate(self.columns):
            if name in self._unread:
                frame.insert(position, name, None)
        return RowSample(frame[: len(drawn)], frame, sample.seen)

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
        generator = np.random.PCG64(seed)
        generator.advance(start)
        rng, sample = np.random.Generator(generator), Sample(rows, limit)
        with self._explained():
            for table in self._batches(types, ROWS_AT_ONCE, start=start, stop=stop):
                sample.offer(table, rng.random(table.num_rows))
        return sample.to_table(), sample.seen

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """Return a DataFrame that detectors accept, with dates as datetime64 and text decoded.

        Raises
        ------
        InputError
            If a column has a type that detectors do not support; the message names it.
        """
        for index, field in enumerate(table.schema):
            kind = field.type
            if pa.types.is_binary(kind):
                raise InputError(
                    f"{self.path}: column '{field.name}' is not UTF-8 text. Convert the file, or drop the column."
                )
            if not _is_usable(kind):
                raise InputError(
                    f"{self.path}: column '{field.name}' is of type {kind}, which no detector takes. "
                    "Turn it into numbers, dates or text, or drop the column."
                )
            if pa.types.is_decimal(kind):
                table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
        with self._explained():
            frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
        return frame

    def _readable(self, types: dict[str, pa.DataType], rows: int, *, strict: bool = False) -> Iterator[pa.Table]:
        """Yield the rows that `keep` selects; raise `InputError` at the first unreadable cell."""
        first = 0
        for table in self._tables(types, rows, strict=strict):
            for name, cells in _unreadable(table).items():
                row = min(cells)
                raise self._unreadable_error(name, types[name], cells[row], first + row)
            yield table.select(list(types))
            first += table.num_rows

    def _unreadable_error(self, name: str, kind: pa.DataType, text: str, row: int) -> InputError:
        where = f" (row {row})" if self.keep is None else ""
        return InputError(
            f"{self.path}: column '{name}' should hold {kind_words(kind)}, but has an invalid value '{text}'{where}."
        )

    def _tables(
        self, types: dict[str, pa.DataType], rows: int, start: int = 0, *, strict: bool = False
    ) -> Iterator[pa.Table]:
        """Yield the rows that `keep` selects, from number `start` on, `rows` at a time."""
        done = skipped = start if self.keep is None else 0  # rows that `keep` leaves out are not counted
        with self._explained(lambda: f" (after row {done})" if done else ""):
            for table in _regroup(self._batches(types, rows, strict=strict, start=skipped), rows):
                if done + table.num_rows > start:
                    yield table.slice(max(start - done, 0))
                done += table.num_rows
        self._check_any(done)

    def _batches(
        self,
        types: dict[str, pa.DataType],
        rows: int,
        *,
        strict: bool = False,
        start: int = 0,
        stop: int = sys.maxsize,
    ) -> Iterator[pa.Table]:
        """Yield those rows of the file from `start` to before `stop` that `keep` selects, about `rows` at a time."""
        read = {**types, **dict.fromkeys(self.text, pa.string())}
        never_text = set(types) - set(self.text) if strict else set()
        form, done = self._format.skipping(start)
        for batch in form.batches(read, rows, strict=never_text):
            first, done = done, done + batch.num_rows
            batch = batch.slice(max(start - first, 0), max(stop - max(start, first), 0))
            if self.keep is not None:
                batch = batch.filter(pa.array(np.asarray(self.keep(batch), dtype=bool)))
            yield batch.select([*types, *(name for name in batch.column_names if name.startswith(UNREADABLE))])
            if done >= stop:
                return

    def _inferred(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        return self._format.types(columns, self.text)

    def _carried_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return types that hold the columns, of which what is no number in a column of numbers is copied too."""
        if not columns:
            return {}  # for CSV files no names would mean all columns
        try:
            return self._inferred(columns)
        except InputError:
            clear = [name for name in columns if self._is_clear(name)]
            types = self._inferred(clear) if clear else {}
            return {name: types.get(name, pa.string()) for name in columns}

    def _is_clear(self, column: str) -> bool:
        try:
            self._inferred([column])
        except InputError:
            return False
        return True

    def _carried(self, rows: int, start: int) -> Iterator[pa.Table | None]:
        """Yield the carried columns of the same rows as `chunks`, in a pass of their own: a column may also be learned.

        Types are those of the file, since a number that is learned as a float may be an integer.
        """
        if not self.carry:
            yield from itertools.repeat(None)
        types = dict(zip(self.carry, self.carried_schema.types, strict=True))
        for table in self._tables(types, rows, start):
            yield table.select(list(types)).rename_columns(self.carried_schema.names)

    def _label_type(self) -> dict[str, pa.DataType]:
        return {} if self.label is None else {self.label: pa.string()}

    def _wanted(self, types: Mapping[Any, str]) -> dict[str, pa.DataType]:
        wanted = arrow_types(types)
        for name in wanted:
            if name not in self.names:
                raise InputError(f"{self.path} has no column '{name}', which the model needs.")
        return wanted

    def _check_any(self, rows: int) -> None:
        if not rows:
            what = "has no rows" if self.keep is None else "has no row that is to be kept"
            raise InputError(f"{self.path} {what}.")

    def _explained(self, where: Callable[[], str] = lambda: "") -> contextlib.AbstractContextManager[None]:
        return explained(self.path, where=where)


def arrow_types(types: Mapping[Any, str]) -> dict[str, pa.DataType]:
    """Return the Arrow types of columns whose types are named as in `Preprocessor.column_types`."""
    return {str(name): _TYPES[kind] for name, kind in types.items()}


def _regroup(batches: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield tables of `rows` rows each (the last may be shorter) from tables of any length."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting, promote_options="default")
            yield whole.slice(0, rows)
            count -= rows
            waiting = [whole.slice(rows)]
    if count:
        yield pa.concat_tables(waiting, promote_options="default")


def _unreadable(table: pa.Table) -> dict[str, dict[int, str]]:
    """Return the texts of cells that are not of their column's type, by column and row."""
    found: dict[str, dict[int, str]] = {}
    for name in table.column_names:
        if name.startswith(UNREADABLE):
            cells = table.column(name)
            rows = np.flatnonzero(cells.is_valid().to_numpy())
            if len(rows):
                found[name.removeprefix(UNREADABLE)] = {int(row): cells[int(row)].as_py() for row in rows}
    return found


def _is_usable(kind: pa.DataType) -> bool:
    """Return whether detectors take columns of a type."""
    if pa.types.is_dictionary(kind):
        return _is_usable(kind.value_type)
    plain = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    others = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_date,
        pa.types.is_timestamp,
    )
    return any(is_kind(kind) for is_kind in (*plain, *others))
