"""A fitted detector as one graph: from the user's rows or pictures to score, p-value, flag and map."""

import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..data.condition import ConditionPreprocessor
from ..data.image import ImagePreprocessor
from ..data.preprocessor import Preprocessor
from ..engine.inference import Inference
from ..errors import InputError
from ..nn.layers import reduce_axis
from ..scoring.calibration import Calibration
from ..scoring.counting import count_less
from .names import OF_KNOWN
from .pictures import PicturesGraph
from .rows import RowsGraph


class Fitted(Protocol):
    """What an export uses of a fitted detector's state."""

    @property
    def preprocessor(self) -> Preprocessor: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def inference(self) -> Inference: ...
    @property
    def roles(self) -> dict[str, str]: ...
    @property
    def fitted_on(self) -> dict[str, Any]: ...


class ScoringGraph(nn.Module):
    """Scores what users have, with everything inside: preprocessing, ensemble, memory bank and calibration.

    Parameters
    ----------
    state : Fitted
    with_map : bool
        Whether pictures get a map.

    Attributes
    ----------
    input_names, output_names : list of str
        In the order of the arguments and results of `forward`.
    """

    encoder: PicturesGraph | RowsGraph
    calibration_location: Tensor
    calibration_scale: Tensor
    calibration_scores: Tensor
    calibration_rows: Tensor
    threshold: Tensor  # a number in the code would be rounded to float32

    def __init__(self, state: Fitted, *, with_map: bool) -> None:
        super().__init__()
        preprocessor = state.preprocessor
        self.is_image = preprocessor.spec_.is_image
        if self.is_image:
            inner = preprocessor.inner if isinstance(preprocessor, ConditionPreprocessor) else preprocessor
            assert isinstance(inner, ImagePreprocessor)
            self.encoder = PicturesGraph(inner)
            self.channels = self.encoder.channels
            example = self.encoder.example
        else:
            self.encoder = RowsGraph(preprocessor)
            example = torch.zeros((2, len(preprocessor.columns_)), dtype=torch.float64)
        self.module = copy.deepcopy(state.inference.module).cpu()  # the detector's own stays where it is
        self.members = state.inference.members
        self.dtype = state.inference.weight.dtype
        self.with_map = with_map and self.is_image and can_map(state)
        # A table's condition is one of its columns.
        self.classes = 0 if getattr(self.encoder, "condition", -1) >= 0 else preprocessor.spec_.classes
        calibration = state.calibration
        for name in ("location", "scale", "scores"):
            self.register_buffer(f"calibration_{name}", torch.from_numpy(getattr(calibration, name).copy()))
        self.register_buffer("calibration_rows", torch.tensor(len(calibration.scores)))
        self.register_buffer("threshold", torch.tensor(calibration.threshold, dtype=torch.float64))
        self.input_names = ["pictures" if self.is_image else "rows"] + ["condition"] * bool(self.classes)
        self.output_names = ["score", "p_value", "flag"]
        self.output_names += ["map"] * self.with_map + [OF_KNOWN] * (not self.is_image)
        self.example: tuple[Any, ...] = (example,)
        if self.classes:
            self.example += (torch.zeros(2, dtype=torch.int64),)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return what `output_names` name.

        Score and p-value are float64 ``(n,)``, the flag is bool ``(n,)``, a map is ``(n, H, W)``. A row with an unseen
        value has the score and the p-value NaN and is flagged, since the value itself is evidence. The last output of
        rows is the score as if such a value said nothing, which `anogan.OnnxModel` compares with those of all known
        values in its place.
        """
        known = None
        if self.is_image:
            x = self.encoder(x)
        else:
            x, known = self.encoder(x)
        if condition is not None:
            x, known = self._with_condition(x, condition, known)
        x = x.to(self.dtype)
        prediction = self.module.predict(x.expand(self.members, *x.shape), with_map=self.with_map)
        members = prediction.score.double()
        score = ((members - self.calibration_location[:, None]) / self.calibration_scale[:, None]).mean(0)
        at_least = len(self.calibration_scores) - count_less(self.calibration_scores, score)
        p_value = (1 + at_least).double() / (1 + self.calibration_rows)
        flag, of_known = score > self.threshold, score
        if known is not None:
            score, p_value = (torch.where(known, values, torch.nan) for values in (score, p_value))
            flag = flag | ~known
        if not self.is_image:
            return score, p_value, flag, of_known
        if not self.with_map:
            return score, p_value, flag
        assert prediction.anomaly_map is not None
        maps = reduce_axis(torch.mean, prediction.anomaly_map, 0)
        return score, p_value, flag, reduce_axis(torch.sum, maps[:, : self.channels], 1)

    def _with_condition(self, x: Tensor, condition: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        is_class = (condition >= 0) & (condition < self.classes)
        number = condition.to(x).reshape(-1, *[1] * (x.dim() - 1))
        x = torch.cat([x, number.expand(-1, 1, *x.shape[2:])], dim=1)
        return x, is_class if known is None else known & is_class


def can_map(state: Fitted) -> bool:
    """Return whether the maps of pictures come from one pass of the networks."""
    return state.inference.module.can("anomaly_map") or state.inference.module.can("reconstruct")


def check_exportable(name: str, state: Fitted) -> None:
    """Raise `InputError` for a detector whose score needs more than one pass of its networks."""
    if state.inference.module.searches:
        raise InputError(
            f"{name} cannot be exported: it searches the latent space for each sample, which a graph of one pass "
            "cannot do. Export a detector that scores in one pass, such as denoising_gan or f_anogan."
        )
    if getattr(getattr(state.preprocessor, "inner", state.preprocessor), "tile_", None):
        raise InputError(
            f"{name} cannot be exported: it scores large pictures in tiles, and a graph takes each picture as a whole. "
            "Fit it on tiles as pictures of their own, and cut pictures before they are scored."
        )
