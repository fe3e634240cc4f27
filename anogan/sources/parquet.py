"""Parquet files, and folders of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .damage import explained
from .formats import TableFormat, kind_words


class Parquet(TableFormat):
    """A Parquet file, or a folder of such files, which are read in the order of their names.

    The index of a DataFrame that was written with the table is not a column of it.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    folders: ClassVar[bool] = True
    stores_types: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = [path]
        if path.is_dir():
            self._files = sorted(f for f in path.glob("*.parquet") if not f.name.startswith(("_", ".")))
        if not self._files:
            raise InputError(f"There are no .parquet files in the folder '{path}'.")
        with explained(path, "a Parquet file", header=True):
            schema = self._schema()
            levels = (schema.pandas_metadata or {}).get("index_columns", [])  # a dict stands for a range, no column
            self.index = [name for name in levels if isinstance(name, str) and name in schema.names]
            self.names = [name for name in schema.names if name not in self.index]

    @property
    def total(self) -> int:
        """Number of rows, from the footers of the files."""
        return sum(pq.ParquetFile(file).metadata.num_rows for file in self._files)

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types that hold the values of all files."""
        schema = self._schema()
        return {name: schema.field(name).type for name in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, `rows` rows at a time within each file."""
        for file in self._files:
            found = 0
            # With pre_buffer everything that is read ahead stays in memory until the whole file has been read.
            with pq.ParquetFile(file, pre_buffer=False) as reader:
                for batch in reader.iter_batches(batch_size=rows, columns=list(types)):
                    table = pa.Table.from_batches([batch]).replace_schema_metadata().select(list(types))
                    yield self._cast(table, types, strict)
                    found += table.num_rows
                if found != reader.metadata.num_rows:
                    raise InputError(
                        f"{file} is damaged: it has {found:,} rows, but says {reader.metadata.num_rows:,}."
                    )

    def _schema(self) -> pa.Schema:
        """Return types that hold the values of all files, with the first file's metadata."""
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

    def _cast(self, table: pa.Table, types: Mapping[str, pa.DataType], strict: Collection[str]) -> pa.Table:
        for index, (name, kind) in enumerate(types.items()):
            column = table.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if name in strict and not _compatible(column.type, kind):
                raise InputError(
                    f"{self.path}: column '{name}' should hold {kind_words(kind)}, but holds {column.type}."
                )
            table = table.set_column(index, name, column.cast(kind, safe=False))
        return table


def _compatible(found: pa.DataType, needed: pa.DataType) -> bool:
    """Return whether a column of one type can stand for another without turning text into numbers or back."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_floating(needed):
        return pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_decimal(found)
    if pa.types.is_timestamp(needed):
        return pa.types.is_date(found) or (pa.types.is_timestamp(found) and (found.tz is None) == (needed.tz is None))
    if pa.types.is_boolean(needed):
        return bool(pa.types.is_boolean(found))
    return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
