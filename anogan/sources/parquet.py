"""Parquet files, and folders of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .damage import explained
from .formats import TableFormat, cast_columns, files_in, plain_schema

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class Parquet(TableFormat):
    """A Parquet file, or a folder of such files, which are read in the order of their names.

    The index of a DataFrame that was written with the table is not a column of it. Subfolders such as ``year=2024``
    give their files a column.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    folders: ClassVar[bool] = True
    in_place: ClassVar[bool] = True
    stores_types: ClassVar[bool] = True
    _skipped: Sequence[int] = ()  # leading row groups of each file that are not read

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = [path]
        if path.is_dir():
            self._files = files_in(path, self.suffixes)
        if not self._files:
            raise InputError(f"There are no .parquet files in the folder '{path}'.")
        with explained(path, "a Parquet file", header=True):
            self._groups, self._merged = self._footers()
            schema = self._merged
            levels = (schema.pandas_metadata or {}).get("index_columns", [])  # a dict stands for a range, no column
            self.index = [name for name in levels if isinstance(name, str) and name in schema.names]
            self.names = [name for name in schema.names if name not in self.index]
        self._partitions = [_partition(file.relative_to(path)) if path.is_dir() else {} for file in self._files]
        self._partition_types = self._checked_partitions()
        self.names += [name for name in self._partition_types if name not in self.names]

    @property
    def total(self) -> int:
        """Number of rows, from the footers of the files."""
        return sum(map(sum, self._groups))

    def skipping(self, rows: int) -> tuple[Parquet, int]:
        """Return the table without its leading row groups, which need not be read."""
        other, skipped = copy.copy(self), 0
        other._skipped = []
        for groups in self._groups:
            first = 0
            while first < len(groups) and skipped + groups[first] <= rows:
                skipped += groups[first]
                first += 1
            other._skipped.append(first)
            rows = rows if first == len(groups) else skipped  # what follows is read
        return other, skipped

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types that hold the values of all files."""
        return {name: self._partition_types.get(name) or self._merged.field(name).type for name in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, `rows` rows at a time within each file."""
        stored = [name for name in types if name not in self._partition_types]
        skipped = self._skipped or [0] * len(self._files)
        for file, partition, groups, first in zip(self._files, self._partitions, self._groups, skipped, strict=True):
            if first and first == len(groups):
                continue
            found = 0
            # With pre_buffer everything that is read ahead stays in memory until the whole file has been read.
            with file.open("rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as reader:
                read = range(first, len(groups))
                for batch in reader.iter_batches(batch_size=rows, columns=stored, row_groups=read):
                    table = pa.Table.from_batches([batch]).replace_schema_metadata().select(stored)
                    for name, kind in self._partition_types.items():
                        value = pa.scalar(partition[name], pa.string()).cast(kind)
                        table = table.append_column(name, pa.repeat(value, batch.num_rows))
                    yield cast_columns(table, types, strict, file)
                    found += table.num_rows
            if found != sum(groups[first:]):
                raise InputError(f"{file} is damaged: it has {found:,} rows, but says {sum(groups[first:]):,}.")

    def _footers(self) -> tuple[list[list[int]], pa.Schema]:
        """Return the rows of each row group of each file, and types that hold the values of all files."""
        groups, schemas = [], []
        for file in self._files:
            with file.open("rb") as opened, pq.ParquetFile(opened) as reader:
                groups.append([reader.metadata.row_group(i).num_rows for i in range(reader.num_row_groups)])
                schemas.append(reader.schema_arrow)
                rows = reader.metadata.num_rows
            if rows != sum(groups[-1]):
                raise InputError(f"{file} is damaged: it has {sum(groups[-1]):,} rows, but says {rows:,}.")
        for file, schema in zip(self._files, schemas, strict=True):
            missing = sorted(set(schemas[0].names) - set(schema.names))
            if missing:
                raise InputError(f"{file} has no column '{missing[0]}', which {self._files[0].name} has.")
        plain = [plain_schema(schema) for schema in schemas]
        merged = plain[0] if len(plain) == 1 else pa.unify_schemas(plain, promote_options="permissive")
        return groups, merged.with_metadata(schemas[0].metadata)

    def _checked_partitions(self) -> dict[str, pa.DataType]:
        """Return the types of the columns that the names of subfolders give: whole numbers, or text."""
        for file, partition in zip(self._files, self._partitions, strict=True):
            if partition.keys() != self._partitions[0].keys():
                raise InputError(f"{file} lies in other kinds of subfolders than {self._files[0]}.")
        types = {}
        for name in self._partitions[0]:
            values = [value for partition in self._partitions if (value := partition[name]) is not None]
            is_number = all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values)
            types[name] = pa.int64() if is_number and values else pa.string()
        return types


def _partition(path: Path) -> dict[str, str | None]:
    """Return the columns of a file in folders such as ``year=2024/kind=a``."""
    pairs = (part.split("=", 1) for part in path.parts[:-1] if "=" in part)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, value in pairs}
