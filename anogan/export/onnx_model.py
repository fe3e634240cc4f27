"""Scoring with an exported ONNX file, without torch."""

from __future__ import annotations

import base64
import importlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.choose import preprocessor_from_state
from ..data.preprocessor import Preprocessor
from ..data.state import decode
from ..errors import FormatError, InputError
from ..scoring.calibration import Calibration, rounding
from ..scoring.unseen import with_farthest_known
from ..sources.frames import as_frame
from .names import FORMAT, OF_KNOWN, PREFIX, REFERENCE, SCORES

if TYPE_CHECKING:
    import pandas as pd

    from ..data.image import ImagePreprocessor, ReadPicture
    from ..scoring.picture_scores import PictureScore

ROWS_AT_ONCE = 8192
PICTURES_AT_ONCE, PIXELS_AT_ONCE = 16, 4 * 384**2  # more of large pictures take up to a third longer


class OnnxModel:
    """A detector in an ONNX file that `Detector.to_onnx` wrote, run by ONNX Runtime.

    Its scores are those of the detector up to rounding. Importing and using it needs no torch.

    Parameters
    ----------
    path : path
    threads : int or None
        Threads of ONNX Runtime; None takes all cores.

    Attributes
    ----------
    name : str
        The name of the detector.
    preprocessor_ : Preprocessor
    calibration_ : Calibration
        Threshold and p-values.
    roles_, fitted_on_
        As those of the detector.

    Raises
    ------
    FormatError
        If the file is not one that anogan exported.
    InputError
        If the package onnxruntime is missing.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        try:
            runtime: Any = importlib.import_module("onnxruntime")
        except ImportError:
            raise InputError(
                "ONNX files need the package onnxruntime; install it with: pip install 'anogan[onnx]'."
            ) from None
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # Threads that spin while they wait take half as long again where other programs run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        data = Path(path).read_bytes()
        try:
            self.session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self._restore(self.session.get_modelmeta().custom_metadata_map)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None
        except Exception as error:  # ONNX Runtime's errors have no common type
            raise FormatError(f"{path} is not an ONNX file of anogan: {_first_line(error)}") from None
        self.path = Path(path)

    def _restore(self, metadata: dict[str, str]) -> None:
        known = {name.removeprefix(PREFIX): text for name, text in metadata.items() if name.startswith(PREFIX)}
        if "format" not in known:
            raise FormatError("the graph was not written by anogan.")
        if known["format"] != str(FORMAT):
            raise FormatError(f"the format is {known['format']}; this version of anogan reads {FORMAT}.")
        from safetensors.numpy import load

        arrays = load(base64.b64decode(known["arrays"], validate=True))
        scores, reference = arrays.pop(SCORES), arrays.pop(REFERENCE, None)
        self.name, self.version = known["detector"], known["version"]
        self.preprocessor_: Preprocessor = preprocessor_from_state(decode(known["preprocessor"].encode(), arrays))
        self.roles_, self.fitted_on_ = json.loads(known["roles"]), json.loads(known["fitted_on"])
        self.eps = float(known["eps"])
        self.calibration_ = Calibration(
            np.zeros(1),
            np.ones(1),
            scores,
            float(known["threshold"]),
            json.loads(known["map_threshold"]),
            json.loads(known["map_start"]),
            reference,
            json.loads(known["held_out"]),
        )

    # ---------------------------------------------------------------- scores

    @property
    def offset_(self) -> float:
        """The negative threshold."""
        return -self.calibration_.threshold

    def anomaly_score(self, X: Any) -> np.ndarray:
        """Return how unusual each sample is: float64 ``(n,)``; see `Detector.anomaly_score`."""
        scores = self.score_part(X)
        self._warn_of_ranges(X)
        return scores

    def score_part(self, X: Any) -> np.ndarray:
        """Return `anomaly_score` of one part of the data; see `Detector.score_part`."""
        X = as_frame(X)
        if self.preprocessor_.kind == "image":
            return self._of_pictures(X, "score")[0]
        inputs, account = self.preprocessor_.graph_inputs(X), self.preprocessor_.account(X)
        assert account is not None
        if account.refused:
            raise InputError(account.refused[min(account.refused)])
        condition = inputs.get("condition")
        rows = inputs["rows"]
        if not account.unseen.any():
            return self._outputs(rows, condition, OF_KNOWN)
        if condition is not None:  # one more column during the search
            rows = np.column_stack([rows, condition])
        width = inputs["rows"].shape[1]

        def score(some: np.ndarray) -> np.ndarray:
            classes = None if condition is None else some[:, -1].astype(np.int64)
            return self._outputs(some[:, :width], classes, OF_KNOWN)

        places = [slice(number, number + 1) for number in range(account.unseen.shape[1])]
        scores = score(with_farthest_known(score, rows, account.unseen, places, self._known_values))
        steps = account.unseen.sum(1)
        return scores + steps * rounding(scores, self.calibration_.scores, self.eps)

    def predict_maps(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores ``(n,)`` and the maps ``(n, 1, H, W)`` of pictures; see `Detector.predict_maps`."""
        found = self.maps_of_part(X)
        self._warn_of_ranges(X)
        return found

    def maps_of_part(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return `predict_maps` of one part of the data; see `Detector.score_part`."""
        self._check_maps()
        scores, maps = self._of_pictures(as_frame(X), "score", "map")
        return scores, maps[:, None]

    def score_picture(self, picture: Any, *, bgr: bool = False, with_map: bool = False) -> PictureScore:
        """Return the score of one picture, such as a frame of a camera; see `Detector.score_picture`.

        Raises
        ------
        InputError
            Where the detector raises it, and for a picture of more bits than the graph takes.
        """
        from ..scoring.picture_scores import score_picture

        if with_map:
            self._check_maps()

        def score(preprocessor: ImagePreprocessor, read: ReadPicture) -> tuple[np.ndarray, np.ndarray | None]:
            inputs = preprocessor.picture_inputs(read)
            scores, *maps = self.session.run(["score", *["map"] * with_map], inputs)
            return scores, maps[0][:, None] if with_map else None

        return score_picture(self, picture, score, bgr=bgr)

    def reasons(self, X: Any, count: int) -> None:
        """Raise `InputError`: reasons need the networks and training rows that the model file holds."""
        text = "An exported ONNX file gives no reasons; score with the model file"
        raise InputError(f"{text}.", f"{text}, or leave out --reasons.")

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for flagged samples and +1 for others: int ``(n,)``."""
        return np.where(self.anomaly_score(X) > self.calibration_.threshold, -1, 1)

    def p_value(self, X: Any) -> np.ndarray:
        """Return split-conformal p-values in (0, 1]: ``(n,)``; see `Detector.p_value`."""
        return self.calibration_.p_value(self.anomaly_score(X))

    def flag(self, X: Any, fdr: float = 0.05) -> np.ndarray:
        """Flag samples at a false discovery rate: bool ``(n,)``; see `Detector.flag`."""
        return self.calibration_.flag(self.anomaly_score(X), fdr)

    def score_table(self, X: Any, *, on_gap: str = "score") -> pd.DataFrame:
        """Return the score of each row that can be scored, and why others cannot; see `Detector.score_table`."""
        from ..scoring.row_scores import score_table

        return score_table(self, X, on_gap)

    def maps(self, X: Any) -> np.ndarray:
        """Return the map of each picture: ``(n, H, W)``, >= 0.

        Raises
        ------
        InputError
            If X are not pictures, or the file has no maps.
        """
        self._check_maps()
        return self._of_pictures(as_frame(X), "map")[0]

    # ---------------------------------------------------------------- the graph

    def inputs(self, X: Any) -> dict[str, np.ndarray]:
        """Return what the graph takes for samples, by the names of its inputs; other ONNX runtimes take the same."""
        return self.preprocessor_.graph_inputs(as_frame(X))

    @cached_property
    def _known_values(self) -> list[np.ndarray]:
        """The inputs (k, 1) that stand for an unseen value of each column."""
        from ..data.columns import CategoryColumn

        found: list[Any] = [
            np.arange(column.width, dtype=np.float64) if isinstance(column, CategoryColumn) else column.known
            for column in self.preprocessor_.columns_
        ]
        return [np.asarray(values, dtype=np.float64).reshape(-1, 1) for values in found]

    def _check_maps(self) -> None:
        if "map" not in [output.name for output in self.session.get_outputs()]:
            raise InputError(f"{self.path} has no maps.")

    def _warn_of_ranges(self, X: Any) -> None:
        ranges = self.preprocessor_.range_counter()
        ranges.add(as_frame(X))
        ranges.warn(stacklevel=3)

    def _of_pictures(self, X: Any, *outputs: str) -> list[np.ndarray]:
        """Return outputs for all pictures, a few at a time."""
        _, height, width = self.preprocessor_.spec_.shape
        at_once = min(max(PIXELS_AT_ONCE // (height * width), 1), PICTURES_AT_ONCE)
        parts = [self.session.run(list(outputs), inputs) for inputs in self.preprocessor_.graph_batches(X, at_once)]
        return [np.concatenate(found) for found in zip(*parts, strict=True)]

    def _outputs(self, rows: np.ndarray, condition: np.ndarray | None, output: str) -> np.ndarray:
        parts = []
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            inputs = {"rows": rows[part]} | ({} if condition is None else {"condition": condition[part]})
            parts.append(self.session.run([output], inputs)[0])
        return np.concatenate(parts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
