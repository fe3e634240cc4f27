"""Clusters that run tasks, and the tasks themselves, which take and return what every cluster can carry."""

from __future__ import annotations

import base64
import functools
import json
import math
import os
import uuid
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from ..errors import AnoganError, InputError
from ..files.remote import is_remote
from ..sources.labels import NormalRows
from ..sources.registry import open_source
from ..sources.source import Source
from ..sources.table import TableFile
from .drawing import key_limit
from .scoring import Scoring
from .worker import loaded

_STATE = b"anogan"
_SAMPLED_AT_ONCE = 2**20  # rows
_OPEN = 4  # sources that a worker keeps open


class Engine(ABC):
    """A cluster that runs tasks.

    It runs while it is used; as a context manager it stays for several uses.
    """

    _uses = 0

    def __enter__(self) -> Self:
        if not self._uses:
            self.start()
        self._uses += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._uses -= 1
        if not self._uses:
            self.end()

    @abstractmethod
    def start(self) -> None:
        """Start the cluster, or find one that runs."""

    @abstractmethod
    def end(self) -> None:
        """End what `start` started."""

    @abstractmethod
    def results(self, tasks: Iterable[str], model: Path | None) -> Iterator[bytes]:
        """Yield what `run` returns for each task, in their order, while the cluster works on the next ones."""

    def samples(
        self, file: TableFile, types: dict[str, pa.DataType], rows: int, seed: int
    ) -> Iterator[tuple[pa.Table, int]]:
        """Yield the samples of the parts of a file; see `TableFile.part`."""
        total, keep = file.total, file.keep
        assert total is not None
        if keep is not None and not isinstance(keep, NormalRows):
            raise InputError("Workers of a cluster can select rows by a label only, not by a function.")
        limit = None if keep is not None else key_limit(rows, total)  # how many rows are selected is not known
        common = {
            "data": [path if is_remote(path) else os.path.abspath(path) for path in map(str, file.paths)],
            "types": base64.b64encode(pa.schema(list(types.items())).serialize()).decode(),
            "text": list(file.text),
            "keep": None if keep is None else [keep.label, keep.normal],
            "rows": rows,
            "seed": seed,
            "limit": limit,
        }
        tasks = (
            common | {"start": start, "stop": min(start + _SAMPLED_AT_ONCE, total)}
            for start in range(0, total, _SAMPLED_AT_ONCE)
        )
        with self:
            for table, state in self.tables("sample", tasks):
                if keep is not None:
                    keep.found.update(state["labels"])
                yield table, state["seen"]

    def tables(
        self, do: str, tasks: Iterable[dict[str, Any]], model: Path | None = None
    ) -> Iterator[tuple[pa.Table, Any]]:
        """Yield the table and the state of each task, in their order.

        Raises
        ------
        AnoganError
            A task raised it.
        """
        run = uuid.uuid4().hex  # a worker outlives a run, and a file may have changed since
        for result in self.results((json.dumps({"do": do, "run": run, **task}) for task in tasks), model):
            table = pa.ipc.open_stream(result).read_all()
            state = json.loads(table.schema.metadata[_STATE])
            if "error" in state:
                raise (InputError if state["input"] else AnoganError)(*state["error"])
            yield table.replace_schema_metadata(), state


def in_order(start: Callable[[str], Future[bytes]], tasks: Iterable[str], ahead: int) -> Iterator[bytes]:
    """Start tasks, `ahead` of them at a time, and yield their results in order."""
    waiting: deque[Future[bytes]] = deque()
    for task in tasks:
        waiting.append(start(task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# ---------------------------------------------------------------- on a worker


def run(task: str, model: str | None) -> bytes:
    """Run a task; return its table and state, or its error, as a stream of Arrow."""
    given = json.loads(task)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the driver warns of what concerns the whole
            table, state = _TASKS[given.pop("do")](model=model, **given)
    except InputError as error:
        table, state = pa.table({}), {"error": [str(error), error.shell], "input": True}
    except AnoganError as error:
        table, state = pa.table({}), {"error": [str(error)], "input": False}
    except OSError as error:
        text = f"A worker cannot read {error.filename or 'the data'}: {error.strerror or error}."
        table, state = pa.table({}), {"error": [text], "input": False}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({_STATE: json.dumps(state)})) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


@functools.lru_cache(_OPEN)
def _opened(run: str, data: tuple[str, ...], dialect: Any) -> Source:
    """Return the data of a run, opened once by each worker."""
    del run
    return open_source(data, dialect=dialect)


def _score(
    *, run: str, model: str, data: list[str], start: int, stop: int, scoring: str
) -> tuple[pa.Table, dict[str, Any]]:
    """Score a part of the data."""
    options = Scoring.from_json(scoring)
    source = _opened(run, tuple(data), options.dialect)
    tables = options.tables(options.stream(loaded(model), source, start=start, stop=stop))
    found = pa.concat_tables([tables.scored.empty_table(), *tables])
    return found, tables.state()


def _sample(
    *,
    run: str,
    model: None,
    data: list[str],
    types: str,
    text: list[str],
    keep: list[str] | None,
    limit: float | None,
    **part: int,
) -> tuple[pa.Table, dict[str, Any]]:
    """Draw rows of a part of a table."""
    del model
    source = _opened(run, tuple(data), None)
    assert isinstance(source, TableFile)
    rule = None if keep is None else NormalRows(source.path, *keep)
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(types)))
    table, seen = source.selecting(text=text, keep=rule).part(
        dict(zip(schema.names, schema.types, strict=True)), limit=math.inf if limit is None else limit, **part
    )
    return table, {"seen": seen, "labels": {} if rule is None else rule.found}


_TASKS: dict[str, Callable[..., tuple[pa.Table, dict[str, Any]]]] = {"score": _score, "sample": _sample}
