"""Feather files, which are Arrow's own format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from .damage import explained
from .formats import TableFormat, cast_columns, plain_schema


class Feather(TableFormat):
    """A Feather file of version 2, which is an Arrow file."""

    suffixes: ClassVar[tuple[str, ...]] = (".feather", ".arrow")
    stores_types: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path, "a Feather file (version 2)", header=True):
            with self._opened() as reader:
                self._schema = plain_schema(reader.schema)
                levels = (reader.schema.pandas_metadata or {}).get("index_columns", [])
            self.index = [name for name in levels if isinstance(name, str) and name in self._schema.names]
            self.names = [name for name in self._schema.names if name not in self.index]

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return the types of the columns."""
        return {name: self._schema.field(name).type for name in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the columns of `types`, `rows` rows at a time within each block of the file."""
        with self._opened() as reader:
            for number in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(number)]).replace_schema_metadata().select(list(types))
                table.validate(full=True)
                for first in range(0, table.num_rows, rows):
                    yield cast_columns(table.slice(first, rows), types, strict, self.path)

    def _opened(self) -> pa.RecordBatchFileReader:
        return pa.ipc.open_file(pa.OSFile(str(self.path)))
