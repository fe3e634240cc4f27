"""Models as a service holds them: loaded from files, exchanged when the files change, with their latest scores."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..batch.models import read_model
from ..data.columns import CategoryColumn
from ..data.example import example_row
from ..errors import AnoganError, InputError
from ..scoring.drift import Drift, compare
from ..sources.labels import closest
from .refusals import Refused

LATEST_SCORES = 2000  # that drift is judged by
QUANTILES = (0.5, 0.9, 0.99)

Stamp = tuple[int, int, int]
"""What changes when a file is replaced: time of its last change, size, and number on its disk."""


@dataclass(eq=False)
class Served:
    """A model as one version of its file holds it.

    Attributes
    ----------
    name : str
        By which requests choose it: the file's name without its ending.
    path : Path
    detector : Detector or OnnxModel
    sha256 : str
        Of the file's content.
    stamp : tuple
    loaded : datetime
    latest : deque of float
        The latest scores, which `drift` compares with those of the calibration.
    """

    name: str
    path: Path
    detector: Any
    sha256: str
    stamp: Stamp
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST_SCORES))

    @classmethod
    def load(cls, path: Path) -> Served:
        """Load a model file or an exported one.

        Raises
        ------
        InputError, FormatError, OSError
            There is no such file, it is no model, or a service cannot give its pictures their condition.
        """
        stamp = stamp_of(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        detector = read_model(Path(path))
        preprocessor = detector.preprocessor_
        if preprocessor.kind == "image" and preprocessor.spec_.classes:
            raise InputError(f"{path} scores pictures given a condition, which a request cannot give.")
        return cls(path.stem, path, detector, digest, stamp)

    @property
    def kind(self) -> str:
        """Kind of data: "table", "vector" or "image"."""
        return str(self.detector.preprocessor_.kind)

    @property
    def columns(self) -> list[Any]:
        """The names of the learned columns; pictures have none."""
        return [] if self.kind == "image" else [column.name for column in self.detector.preprocessor_.columns_]

    def drift(self) -> Drift | None:
        """Compare the latest scores with those of the calibration rows; None before there are any."""
        scores = np.array(self.latest)
        if not len(scores):
            return None
        return compare(self.detector.calibration_, scores, [], np.zeros(0), np.zeros(0))

    def quantiles(self) -> dict[float, float]:
        """Return quantiles of the latest scores."""
        values = np.quantile(np.array(self.latest), QUANTILES) if self.latest else []
        return dict(zip(QUANTILES, map(float, values), strict=False))

    @cached_property
    def example(self) -> dict[str, Any] | list[float] | None:
        """A row as a request gives it, of middle values; None for pictures."""
        if self.kind == "image":
            return None
        row = example_row(self.detector.preprocessor_)
        if isinstance(row, np.ndarray):
            return [float(value) for value in row[0]]
        return dict(json.loads(row.to_json(orient="records", date_format="iso"))[0])

    def facts(self) -> dict[str, Any]:
        """Return what the model is, for JSON."""
        detector, preprocessor = self.detector, self.detector.preprocessor_
        calibration, drift = detector.calibration_, self.drift()
        columns = []
        for column in [] if self.kind == "image" else preprocessor.columns_:
            entry: dict[str, Any] = {"name": column.name, "kind": column.kind, "missing": column.missing}
            if isinstance(column, CategoryColumn):
                entry["categories"] = len(column.categories)
            columns.append(entry)
        return {
            "model": self.name,
            "detector": detector.name,
            "sha256": self.sha256,
            "loaded": self.loaded.isoformat(timespec="seconds"),
            "kind": self.kind,
            "sample_shape": list(preprocessor.spec_.shape),
            "columns": columns,
            "example": self.example,
            "threshold": calibration.threshold,
            "false_alarms": float(calibration.false_alarms(np.array([calibration.threshold]))[0]),
            "calibration_rows": len(calibration.scores),
            "held_out": calibration.held_out,
            "drift": None if drift is None else {"verdict": drift.verdict, "rows": drift.rows},
        }


class Store:
    """The models of a service, by name.

    Parameters
    ----------
    paths : sequence of paths

    Raises
    ------
    InputError, FormatError, OSError
        There is no model, two have the same name, or one cannot be loaded.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, Served] = {}
        self.failures: dict[str, str] = {}
        self._tried: dict[str, Stamp] = {}
        if not paths:
            raise InputError("A service needs at least one model file.")
        for path in map(Path, paths):
            if path.stem in self._models:
                raise InputError(f"Two models are called '{path.stem}': requests choose them by the file's name.")
            self._models[path.stem] = Served.load(path)

    def __iter__(self) -> Any:
        return iter(list(self._models.values()))

    def choose(self, name: str | None) -> Served:
        """Return the model of this name, or the only one.

        Raises
        ------
        Refused
            There is no such model, or several and no name.
        """
        names = list(self._models)
        if name is None:
            if len(names) > 1:
                raise Refused(422, "model", f"Name one of the models with ?model=: {', '.join(names)}.")
            name = names[0]
        if name not in self._models:
            raise Refused(404, "model", f"There is no model '{name}'.{closest(name, names)}")
        return self._models[name]

    def refresh(self) -> list[tuple[str, str | None]]:
        """Load the models whose files have changed; requests that began with an old one end with it.

        Returns
        -------
        list of (name, failure or None)
            One entry for each changed file. A model that cannot be loaded leaves the old one in place.
        """
        found: list[tuple[str, str | None]] = []
        with self._lock:
            for name, served in list(self._models.items()):
                try:
                    stamp = stamp_of(served.path)
                    if stamp in (served.stamp, self._tried.get(name)):
                        continue
                    self._tried[name] = stamp
                    self._models[name] = Served.load(served.path)
                    self.failures.pop(name, None)
                    found.append((name, None))
                except (AnoganError, OSError) as error:
                    if self.failures.get(name) != str(error):
                        self.failures[name] = str(error)
                        found.append((name, str(error)))
        return found


def stamp_of(path: Path) -> Stamp:
    """Return what tells one version of a file from the next."""
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
