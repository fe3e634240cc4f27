"""Tables on disk: read in pieces, sampled in one pass; no more of a file is held than is needed."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from ..errors import InputError
from .columns import MAX_CATEGORIES, check_cardinality

ROWS_AT_ONCE = 32768
_SLACK = 1.5  # of the sample: how many candidates wait until those that lost are dropped
_PIECES = 256  # in which they wait; each costs some kilobytes whatever its length
_PARSE = {"newlines_in_values": True}  # quoted text may span lines
_TYPES = {
    "double": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}
"""What preprocessors call the types in which they want a file's columns."""
_CSV_TYPES = (
    pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
    pa.float64(), pa.string(),
)  # fmt: skip
"""From strict to loose, in the order in which `pyarrow.csv.read_csv` infers."""


class RowSample(NamedTuple):
    """Rows of a file for `Detector.fit`.

    Attributes
    ----------
    frame : DataFrame
        A uniform sample without replacement, in the file's order.
    known : DataFrame
        The same and then more, which show what occurs in the file at all: the first row that misses a value in a
        column, holds an infinity, or brings a text, for each of these.
    total : int
        Rows that the sample was drawn from.
    """

    frame: pd.DataFrame
    known: pd.DataFrame
    total: int


class TableFile:
    """A CSV, TSV or Parquet file, or a folder of Parquet files, of any length.

    `Detector.fit` draws a sample of it in one pass, and `anomaly_score` scores it in pieces, so neither holds it whole.

    Parameters
    ----------
    path : path
        A file ending in .csv, .tsv (also gzipped) or .parquet, or a folder of .parquet files, which are read in the
        order of their names.
    drop : sequence of str
        Columns that are left out.
    text : sequence of str
        Columns that are read as text, whatever they look like, such as postal codes.
    keep : function of pyarrow.Table -> (n,) bool array, optional
        Of some consecutive rows (with the columns `text`, dropped ones too) those that count, such as
        ``keep=lambda rows: pc.equal(rows["label"], "normal")``.

    Attributes
    ----------
    names : list of str
        All columns in the file's order.
    columns : list of str
        Those that are not left out.

    Raises
    ------
    InputError
        If the file is empty, has a column twice, or cannot be read as what its name says.

    Examples
    --------
    >>> import tempfile, pathlib, pandas
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "amounts.csv"
    >>> pandas.DataFrame({"id": range(5), "amount": 1.5}).to_csv(path, index=False)
    >>> TableFile(path, drop=["id"]).columns
    ['amount']
    """

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        drop: Sequence[str] = (),
        text: Sequence[str] = (),
        keep: Callable[[pa.Table], Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.text = tuple(text)
        self.keep = keep
        self._files = _parquet_files(self.path)
        with self._explained():
            if self._files:
                schema = self._parquet_schema()
            else:
                self._delimiter = _delimiter(self.path)
                schema = pv.open_csv(self.path, parse_options=self._parse_options()).schema
            # The index of the DataFrame that was written is no column of it.
            index = (schema.pandas_metadata or {}).get("index_columns", [])
            self.names: list[str] = [name for name in schema.names if name not in index]
        twice = sorted({n for n in self.names if self.names.count(n) > 1})
        if twice:
            raise InputError(f"{path} has column '{twice[0]}' more than once; column names must be unique.")
        for name in (*drop, *text):
            if name not in self.names:
                close = difflib.get_close_matches(name, self.names, n=1)
                hint = f" Did you mean '{close[0]}'?" if close else ""
                raise InputError(f"{path} has no column '{name}'.{hint}")
        self.columns = [name for name in self.names if name not in drop]
        if not self.columns:
            raise InputError(f"{path} has no columns left to learn from.")

    @property
    def total(self) -> int | None:
        """Number of rows in the file, None where only reading on tells."""
        with self._explained():
            return sum(pq.ParquetFile(file).metadata.num_rows for file in self._files) if self._files else None

    def read(self) -> pa.Table:
        """All rows that count, types inferred from all of them."""
        with self._explained():
            tables = list(self._batches(self._inferred(self.columns), ROWS_AT_ONCE))
        self._check_any(sum(table.num_rows for table in tables))
        return pa.concat_tables(tables)

    def chunks(self, types: Mapping[str, str], rows: int, *, start: int = 0) -> Iterator[pa.Table]:
        """Some columns of the rows that count, `rows` at a time in constant memory.

        Parameters
        ----------
        types : dict
            Column name -> what it must hold (in CSV: be readable as), as `Preprocessor.column_types` says.
        rows : int
        start : int
            The rows before this one are passed over.
        """
        wanted = {name: _TYPES[kind] for name, kind in types.items()}
        for name in wanted:
            if name not in self.names:
                raise InputError(f"{self.path} has no column '{name}', which the model needs.")
        done = 0
        with self._explained(lambda: f" (after row {done})" if done else ""):
            for chunk in _regroup(self._batches(wanted, rows, checked=True), rows):
                if done + chunk.num_rows > start:
                    yield chunk.slice(max(start - done, 0))
                done += chunk.num_rows
        self._check_any(done)

    def frames(self, types: Mapping[Any, str], rows: int = ROWS_AT_ONCE) -> Iterator[pd.DataFrame]:
        """The same as DataFrames; column names that are no text are found by their text."""
        for table in self.chunks({str(name): kind for name, kind in types.items()}, rows):
            frame = self.frame(table)
            frame.columns = pd.Index(list(types))
            yield frame

    def sample(self, rows: int, seed: int, told: Callable[[int], None] | None = None) -> RowSample:
        """Draw rows uniformly without replacement: all of them, if there are no more than `rows`.

        Every row gets a random number, and those with the least are kept: one pass (for CSV a further one before it, to
        learn the columns' types), memory for 1.5 times the sample. Which rows these are depends on the seed and on
        their order alone.

        Parameters
        ----------
        rows : int
        seed : int
        told : function of int, optional
            Called with the number of rows that were read so far.

        Raises
        ------
        InputError
            If there are no rows, or a text column has too many different values to be learned.
        """
        rng = np.random.default_rng(seed)
        candidates, witnesses = _ReservoirSample(rows), _RareValueRows()
        with self._explained(lambda: f" (after row {candidates.seen})" if candidates.seen else ""):
            types = self._inferred(self.columns)
            for table in _regroup(self._batches(types, ROWS_AT_ONCE), ROWS_AT_ONCE):
                witnesses.look(table)
                candidates.offer(table, rng.random(table.num_rows))
                if told is not None:
                    told(candidates.seen)
        self._check_any(candidates.seen)
        drawn = candidates.drawn()
        frame = self.frame(pa.concat_tables([drawn, *witnesses.rows]))
        return RowSample(frame[: len(drawn)], frame, candidates.seen)

    def frame(self, table: pa.Table) -> pd.DataFrame:
        """A DataFrame as detectors take it: dates as datetime64, text decoded.

        Raises
        ------
        InputError
            For a column of a type that no detector takes; names it.
        """
        for index, field in enumerate(table.schema):
            kind = field.type
            if pa.types.is_binary(kind):
                raise InputError(
                    f"{self.path}: column '{field.name}' is not UTF-8 text. Convert the file, or drop the column."
                )
            if pa.types.is_time(kind) or pa.types.is_nested(kind) or pa.types.is_duration(kind):
                raise InputError(
                    f"{self.path}: column '{field.name}' is of type {kind}, which no detector takes. "
                    "Turn it into numbers, dates or text, or drop the column."
                )
            if pa.types.is_decimal(kind):
                table = table.set_column(index, field.name, table.column(index).cast(pa.float64()))
        frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
        return frame

    def _check_any(self, rows: int) -> None:
        if not rows:
            what = "has a header but no rows" if self.keep is None else "has no row that is to be kept"
            raise InputError(f"{self.path} {what}.")

    def _inferred(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """The type of each column, in CSV such that all its values can be read."""
        if self._files:
            schema = self._parquet_schema()
            return {name: schema.field(name).type for name in columns}
        types = dict.fromkeys(set(self.text) & set(columns), pa.string())
        found: dict[str, pa.DataType] = {}
        while True:
            try:
                reader = pv.open_csv(
                    self.path,
                    parse_options=self._parse_options(),
                    convert_options=_convert_options(columns, types),
                )
                found = dict(zip(reader.schema.names, reader.schema.types, strict=True))  # by the first rows
                for _ in reader:
                    pass
            except pa.ArrowInvalid as error:
                typed = _CONVERSION.search(str(error))
                name = self.names[int(typed["column"])] if typed else ""
                kind = types.get(name, found.get(name))
                if kind not in _CSV_TYPES[:-1]:
                    raise
                types[name] = _CSV_TYPES[_CSV_TYPES.index(kind) + 1]
            else:
                return found

    def _parquet_schema(self) -> pa.Schema:
        """Types that hold the values of all files, and the first file's metadata."""
        schemas = [pq.ParquetFile(file).schema_arrow for file in self._files]
        for file, schema in zip(self._files, schemas, strict=True):
            missing = sorted(set(schemas[0].names) - set(schema.names))
            if missing:
                raise InputError(f"{file} has no column '{missing[0]}', which {self._files[0].name} has.")
        plain = [
            pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema])
            for schema in schemas
        ]
        merged = plain[0] if len(plain) == 1 else pa.unify_schemas(plain, promote_options="permissive")
        return merged.with_metadata(schemas[0].metadata)

    def _batches(self, types: Mapping[str, pa.DataType], rows: int, *, checked: bool = False) -> Iterator[pa.Table]:
        read = {**types, **dict.fromkeys(self.text, pa.string())}
        for batch in self._csv_batches(read) if not self._files else self._parquet_batches(read, rows, checked):
            if self.keep is not None:
                batch = batch.filter(pa.array(np.asarray(self.keep(batch), dtype=bool)))
            yield batch.select(list(types))

    def _csv_batches(self, types: dict[str, pa.DataType]) -> Iterator[pa.Table]:
        convert_options = _convert_options(list(types), types)
        for batch in pv.open_csv(self.path, parse_options=self._parse_options(), convert_options=convert_options):
            yield pa.Table.from_batches([batch])

    def _parquet_batches(self, types: dict[str, pa.DataType], rows: int, checked: bool) -> Iterator[pa.Table]:
        never_text = set(types) - set(self.text) if checked else set()
        for file in self._files:
            # What is buffered ahead stays in memory until the whole file is read.
            with pq.ParquetFile(file, pre_buffer=False) as reader:
                for batch in reader.iter_batches(batch_size=rows, columns=list(types)):
                    yield _cast(
                        pa.Table.from_batches([batch]).replace_schema_metadata().select(list(types)), types, never_text
                    )

    def _parse_options(self) -> pv.ParseOptions:
        return pv.ParseOptions(delimiter=self._delimiter, **_PARSE)

    @contextlib.contextmanager
    def _explained(self, where: Callable[[], str] = lambda: "") -> Iterator[None]:
        """Turn Arrow's complaints into errors that name the file, the column and the value."""
        try:
            yield
        except _ColumnTypeError as error:
            raise InputError(f"{self.path}: {error}{where()}.") from None
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            message = str(error)
            typed = _CONVERSION.search(message)
            if typed:
                line = "" if typed["line"] is None else f" (row {int(typed['line']) - 2})"  # line 1 is the header
                wrong = f"but has an {typed['value']}{line or where()}"
                name = self.names[int(typed["column"])]
                raise InputError(
                    f"{self.path}: column '{name}' should hold {_kind_words(typed['type'])}, {wrong}."
                ) from None
            if "Empty CSV file" in message:
                raise InputError(f"{self.path} is empty.") from None
            raise InputError(f"{self.path}: {message.rstrip('.')}{where()}.") from None
        except UnicodeDecodeError:
            raise InputError(f"{self.path} is not UTF-8 text. Convert the file.") from None
        except OSError as error:
            if error.errno is None:  # Arrow's word for damaged compression
                raise InputError(f"{self.path} cannot be read: {error}.") from None
            raise


class _ReservoirSample:
    """The rows with the least keys of all that were offered, in the order in which they came."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self._tables: list[pa.Table] = []
        self._keys: list[np.ndarray] = []
        self._waiting = 0
        self._limit = np.inf

    def offer(self, table: pa.Table, keys: np.ndarray) -> None:
        self.seen += len(keys)
        better = keys < self._limit
        if not better.all():
            table, keys = table.filter(pa.array(better)), keys[better]
        self._tables.append(table)
        self._keys.append(keys)
        self._waiting += len(keys)
        if self._waiting > _SLACK * self.size or len(self._tables) > _PIECES:
            self._settle()

    def drawn(self) -> pa.Table:
        self._settle()
        return self._tables[0]

    def _settle(self) -> None:
        table, keys = pa.concat_tables(self._tables), np.concatenate(self._keys)
        if len(keys) > self.size:
            self._limit = np.partition(keys, self.size - 1)[self.size - 1]
            least = keys <= self._limit
            table, keys = table.filter(pa.array(least)), keys[least]
        self._tables, self._keys, self._waiting = [table.combine_chunks()], [keys], len(keys)


class _RareValueRows:
    """The first row of each kind of value that a sample might not hold: a gap, an infinity, each text."""

    def __init__(self) -> None:
        self.rows: list[pa.Table] = []
        self._seen = 0
        self._known: dict[str, set[Any]] = {}

    def look(self, table: pa.Table) -> None:
        first: set[int] = set()
        self._seen += table.num_rows
        for name in table.column_names:
            column = table.column(name)
            known = self._known.setdefault(name, set())
            for value, row in _first_rows(column, known):
                known.add(value)
                first.add(row)
            if len(known) > MAX_CATEGORIES + 1:
                check_cardinality(name, [v for v in known if v is not None], self._seen)
        if first:
            self.rows.append(table.take(pa.array(sorted(first))))


def _first_rows(column: pa.ChunkedArray, known: set[Any]) -> Iterator[tuple[Any, int]]:
    """Kinds of values in a column that are not known yet (None is missing), and the first row of each."""
    if pa.types.is_floating(column.type) and np.inf not in known:
        infinite = pc.is_inf(column)
        if pc.any(infinite).as_py():
            yield np.inf, pc.index(infinite, True).as_py()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for value in pc.unique(column):
            if value.is_valid and value.as_py() not in known:
                yield value.as_py(), pc.index(column, value).as_py()
    if None not in known:
        missing = pc.is_null(column, nan_is_null=True)
        if pc.any(missing).as_py():
            yield None, pc.index(missing, True).as_py()


_CONVERSION = re.compile(
    r"CSV column #(?P<column>\d+): (Row #(?P<line>\d+): )?CSV conversion error to (?P<type>[^:]+): (?P<value>.*)",
    re.DOTALL,
)
_KIND_WORDS = {"double": "numbers", "bool": "true or false", "timestamp": "dates", "string": "UTF-8 text"}


class _ColumnTypeError(Exception):
    pass


def _kind_words(arrow_type: str) -> str:
    return _KIND_WORDS.get(arrow_type.split("[")[0], arrow_type)


def _parquet_files(path: Path) -> list[Path]:
    """The file itself or those of a folder; none if it is no Parquet."""
    if not path.is_dir():
        return [path] if path.name.lower().endswith(".parquet") else []
    files = sorted(file for file in path.glob("*.parquet") if not file.name.startswith(("_", ".")))
    if not files:
        raise InputError(f"There are no .parquet files in the folder '{path}'.")
    return files


def _delimiter(path: Path) -> str:
    """Tab for .tsv; for .csv the comma, unless the header has none but has semicolons or tabs."""
    if ".tsv" in path.name.lower():
        return "\t"
    with pa.input_stream(path, compression="detect") as stream:
        header = stream.read(65536).split(b"\n", 1)[0]
    return next((d for d in (",", ";", "\t") if d.encode() in header), ",")


def _convert_options(columns: Sequence[str], types: dict[str, pa.DataType]) -> pv.ConvertOptions:
    return pv.ConvertOptions(include_columns=list(columns), column_types=types, strings_can_be_null=True)


def _cast(table: pa.Table, types: Mapping[str, pa.DataType], checked: Any) -> pa.Table:
    """Bring a Parquet file's columns to their types; in `checked` ones text is no number, nor a number text."""
    for index, (name, kind) in enumerate(types.items()):
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in checked and not _compatible(column.type, kind):
            raise _ColumnTypeError(f"column '{name}' should hold {_kind_words(str(kind))}, but holds {column.type}")
        table = table.set_column(index, name, column.cast(kind, safe=False))
    return table


def _compatible(found: pa.DataType, needed: pa.DataType) -> bool:
    if pa.types.is_null(found):
        return True
    if pa.types.is_floating(needed):
        return pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_decimal(found)
    if pa.types.is_timestamp(needed):
        return pa.types.is_date(found) or (pa.types.is_timestamp(found) and (found.tz is None) == (needed.tz is None))
    if pa.types.is_boolean(needed):
        return bool(pa.types.is_boolean(found))
    return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)


def _regroup(batches: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Tables of `rows` rows each (the last may be shorter) from tables of any length."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows)
            count -= rows
            waiting = [whole.slice(rows)]
    if count:
        yield pa.concat_tables(waiting)
