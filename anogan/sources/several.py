"""Several files that are one table."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from ..errors import InputError
from .damage import explained
from .dialect import CSVDialect
from .formats import TableFormat, format_of, kind_words
from .notes import Note


class SeveralFiles(TableFormat):
    """Files with the same columns, one after the other; the order of their columns may differ.

    Parameters
    ----------
    paths : list of Path
    dialect : CSVDialect, optional

    Raises
    ------
    InputError
        If one is not a table, or has other columns than the first.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, paths: list[Path], dialect: CSVDialect | None = None) -> None:
        self._paths, self._parts = paths, []
        for path in paths:
            found = format_of(path)
            if found is None:
                raise InputError(f"{path} is not a table, so it cannot be one of several files that are.")
            with explained(path):
                self._parts.append(found.open(path, dialect))
        self.stores_types = all(part.stores_types for part in self._parts)  # type: ignore[misc]
        self.names = self._parts[0].names
        self.index = self._parts[0].index
        self.dialect = self._parts[0].dialect if all(part.dialect is not None for part in self._parts) else None
        for path, part in zip(paths, self._parts, strict=True):
            missing = [name for name in self.names if name not in part.names]
            extra = [name for name in part.names if name not in self.names]
            if missing or extra:
                verb, name = ("lacks", missing[0]) if missing else ("has", extra[0])
                other = "has" if missing else "lacks"
                raise InputError(
                    f"{path} {verb} column '{name}', which {paths[0]} {other}; the columns must be the same."
                )

    @property
    def notes(self) -> Sequence[Note]:  # type: ignore[override]
        """The notes of all files, each once."""
        return list({note.text(): note for part in self._parts for note in part.notes}.values())

    @property
    def units(self) -> Mapping[str, str]:  # type: ignore[override]
        """The units of all files, of which a file without a unit says nothing."""
        return {name: unit for part in self._parts for name, unit in part.units.items() if unit}

    def in_units(self, units: Mapping[str, str]) -> SeveralFiles:
        """Return the table with these `needed_units`."""
        other = copy.copy(self)
        other._parts = [part.in_units(units) for part in self._parts]
        return other

    @property
    def total(self) -> int | None:
        """Number of rows, None if it is not known of each file."""
        totals = [part.total for part in self._parts]
        return None if None in totals else sum(total for total in totals if total is not None)

    def types(self, columns: Sequence[str], text: Collection[str]) -> dict[str, pa.DataType]:
        """Return types that hold the values of all files.

        Raises
        ------
        InputError
            If a column holds numbers in one file and text in another, or is written with other decimal signs or in
            other units.
        """
        found: list[dict[str, pa.DataType]] = []
        for path, part in zip(self._paths, self._parts, strict=True):
            with explained(path):
                found.append(part.types(columns, text))
        return {name: self._common(name, [types[name] for types in found]) for name in columns}

    def stored_types(self, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """Return the types that all files store, and text for columns in which they differ."""
        found = [part.stored_types(columns) for part in self._parts]
        return {n: kinds.pop() if len(kinds := {types[n] for types in found}) == 1 else pa.string() for n in columns}

    def batches(
        self, types: Mapping[str, pa.DataType], rows: int, *, strict: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """Yield the rows of each file."""
        for path, part in zip(self._paths, self._parts, strict=True):
            with explained(path):
                for table in part.batches(types, rows, strict=strict):
                    yield table.cast(pa.schema([(f.name, types.get(f.name, f.type)) for f in table.schema]))

    def _common(self, name: str, kinds: list[pa.DataType]) -> pa.DataType:
        decimals = {
            part.decimals[name]: path
            for path, part in zip(self._paths, self._parts, strict=True)
            if name in part.decimals
        }
        if len(decimals) > 1:
            raise InputError(
                f"{decimals[',']} has decimal commas in column '{name}', but {decimals['.']} has decimal points. Name "
                "the decimal sign with CSVDialect(decimal=...) (on the command line --decimal), or convert one of them."
            )
        units = {
            part.units[name]: path for path, part in zip(self._paths, self._parts, strict=True) if name in part.units
        }
        if "%" not in units:
            units.pop("", None)  # of any currency
        if len(units) > 1:
            (one, first), (other, second) = list(units.items())[:2]
            raise InputError(
                f"{first} has {_unit_words(one)} in column '{name}', but {second} has {_unit_words(other)}. Convert "
                "one of them."
            )
        if all(pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None) for kind in kinds):
            return kinds[0] if len(set(kinds)) == 1 else pa.timestamp("us")
        try:
            schemas = [pa.schema([(name, kind)]) for kind in kinds]
            return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            place = next(i for i, kind in enumerate(kinds) if kind != kinds[0] and not pa.types.is_null(kind))
            raise InputError(
                f"{self._paths[place]} has {kind_words(kinds[place])} in column '{name}', but {self._paths[0]} has "
                f"{kind_words(kinds[0])}; the types must be the same."
            ) from None


def _unit_words(unit: str) -> str:
    return f"numbers with the sign '{unit}'" if unit else "numbers without a sign"
