"""What a table of scores holds: the options of a scoring, which a shell, a call and a worker of a cluster share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..files.remote import is_remote
from ..files.writing import is_device
from ..scoring.calibration import TAILS
from ..sources.dialect import CSVDialect
from ..streams.progress import Progress
from ..streams.stream import Stream
from .scores import ScoreTables

if TYPE_CHECKING:
    from ..reporting.maps import MapWriter


@dataclass(frozen=True)
class Scoring:
    """The options of `score_file` and of `anogan score`.

    Parameters
    ----------
    fdr : float, optional
        Flag by this false discovery rate, in (0, 1), over all rows instead of the model's threshold.
    tail : {"empirical", "fitted"}
        See `Detector.flag`; "fitted" needs `fdr`.
    reasons : int
        Columns of a table that are named as reasons of each flagged row.
    maps : path, optional
        A folder for the anomaly maps of pictures.
    map_format : {"png", "npy"}, optional
        The format of the raw maps, png by default.
    top : int, optional
        Write only this many rows, the highest scores first, with all columns of the data.
    sort : bool
        Write the highest scores first, with all columns of the data.
    keep, drop, strict, dialect, on_error, on_gap, chunk_rows
        See `Stream`.
    """

    fdr: float | None = None
    tail: str = "empirical"
    reasons: int = 0
    maps: str | None = None
    map_format: str | None = None
    top: int | None = None
    sort: bool = False
    keep: Sequence[str] = ()
    drop: Sequence[str] = ()
    strict: bool = False
    dialect: CSVDialect | None = None
    on_error: str | None = None
    on_gap: str = "score"
    chunk_rows: int | None = None

    @property
    def in_order(self) -> bool:
        """Whether the highest scores come first."""
        return self.sort or self.top is not None

    def stream(self, detector: Any, data: Any, **part: Any) -> Stream:
        """Return the chunks of the data, or of a part of them by `start` and `stop`."""
        names = ("drop", "chunk_rows", "on_error", "strict", "on_gap", "keep", "dialect")
        return Stream(detector, data, **{name: getattr(self, name) for name in names}, **part)

    def tables(self, stream: Stream, maps: MapWriter | None = None, progress: Progress | None = None) -> ScoreTables:
        """Return the scores of a stream."""
        given = {"fdr": self.fdr, "tail": self.tail, "reasons": self.reasons}
        return ScoreTables(stream, **given, maps=maps, later=self.in_order, progress=progress)  # type: ignore[arg-type]

    def to_json(self) -> str:
        """Return the options as a text for `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Scoring:
        """Return the options that `to_json` wrote."""
        given = json.loads(text)
        dialect = given["dialect"] and CSVDialect(**given["dialect"] | {"na_values": (*given["dialect"]["na_values"],)})
        return cls(**given | {"dialect": dialect})

    def check(self, stream: Stream, output: str, *, resume: bool) -> None:
        """Raise `InputError` if options do not suit the data or each other."""
        detector = stream.detector
        is_image = detector.preprocessor_.kind == "image"
        if self.reasons and is_image:
            raise InputError(
                "reasons name columns of a table; for pictures, use maps.",
                "--reasons names columns of a table; for pictures, use --maps DIR.",
            )
        if self.maps is not None and not is_image:
            raise InputError(
                "maps are heatmaps of pictures; for a table, use reasons.",
                "--maps writes heatmaps of pictures; for a table, use --reasons K.",
            )
        if resume and stream.source.folder is not None:
            raise InputError(
                "resume needs data that can be read again, which standard input and copies of remote files cannot.",
                "--resume needs data that can be read again, which standard input and copies of remote files cannot.",
            )
        if self.fdr is not None and not 0 < self.fdr < 1:
            raise InputError(f"fdr must be between 0 and 1, got {self.fdr}.")
        if self.tail not in TAILS:
            raise InputError(f"tail must be one of {', '.join(map(repr, TAILS))}, got {self.tail!r}.")
        if self.tail != "empirical":
            if self.fdr is None:
                raise InputError(
                    "tail is for flags by false discovery rate; give fdr too.",
                    "--tail is for flags by false discovery rate; give --fdr Q too.",
                )
            detector.calibration_.p_value(np.empty(0), self.tail)  # if it cannot be fitted, this is said before scoring
        if resume and (self.maps is not None or is_device(output) or is_remote(output)):
            raise InputError(
                "resume needs an output file on this machine and does not work with maps.",
                "--resume needs an output file on this machine and does not work with --maps.",
            )
        if self.map_format is not None and self.maps is None:
            raise InputError(
                "map_format is the format of the maps; give maps too.",
                "--map-format is the format of the maps that --maps DIR writes; give --maps DIR too.",
            )
