"""Explanations of a fitted model: the error of each column or pixel, and reasons in the user's own units."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.condition import Conditioned
from ..data.preprocessor import Preprocessor
from ..data.samples import Samples
from ..engine.inference import ArrayPrediction, Inference
from ..engine.module import Prediction
from ..scoring.calibration import Calibration
from .attribution import error_map, occlusion, score_and_error_map
from .reasons import describe, leading
from .similar import SIMILAR, SimilarRows


@dataclass(frozen=True, eq=False)
class Explainer:
    """Explains the scores of one fitted model.

    Parameters
    ----------
    inference : Inference
    preprocessor : Preprocessor
        Fitted.
    calibration : Calibration
        Combines the members' scores.
    baseline : (*shape) tensor
        A typical normal sample, for the pixels of pictures.
    background : (m, D) tensor or None
        Normal rows that others are compared with; None for pictures.
    are_marginals : bool
        Whether these rows are `marginals` rather than training rows.
    """

    inference: Inference
    preprocessor: Preprocessor
    calibration: Calibration
    baseline: Tensor
    background: Tensor | None
    are_marginals: bool = False

    @cached_property
    def similar(self) -> SimilarRows | None:
        """The background rows on the module's device; None for pictures."""
        if self.background is None:
            return None
        rows = self.background.to(self.inference.weight)
        return SimilarRows(rows, self.preprocessor.places_, self.preprocessor.spec_)

    def error(self, x: Tensor) -> Tensor:
        """Return the contribution of each value: pictures ``(K, B, *shape)`` -> same, rows -> ``(1, B, D)``; >= 0."""
        if (similar := self.similar) is None:
            return error_map(self.inference.module, x, self.baseline.to(x))
        with torch.no_grad():
            return occlusion(self._combined_score, x[0], similar)[None]

    def errors(self, samples: Samples) -> np.ndarray | pd.DataFrame:
        """Return the contribution of each of the user's columns or pixels, >= 0."""
        return self.preprocessor.collapse(self.inference.mean_map(samples, self.error))

    def column_errors(self, samples: Samples) -> np.ndarray:
        """Return the contributions of columns as an array ``(n, d)``; ``(n, 0)`` for pictures."""
        if self.background is None:
            return np.empty((len(samples), 0))
        return np.asarray(self.errors(samples))

    def predict_maps(self, pictures: Samples) -> ArrayPrediction:
        """Return the scores and the maps ``(n, C, H, W)`` of pictures, which are decoded once."""

        def forward(x: Tensor) -> Prediction:
            return score_and_error_map(self.inference.module, x, self.baseline.to(x))

        scores, maps = self.inference.predict(pictures, forward)
        return ArrayPrediction(scores, np.asarray(self.preprocessor.collapse(maps)))

    def reasons(self, samples: Samples, X: object, count: int) -> pd.DataFrame:
        """Return the ``count`` leading columns of each row, as `anogan.explain.reasons.Reason` describes them.

        Parameters
        ----------
        samples : n rows
        X : DataFrame, array (n, d) or Conditioned
            The same rows in the user's units.
        count : int
        """
        assert self.similar is not None
        similar = self.similar

        def of_batch(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
            errors = self.error(x)[0].cpu().double().numpy()
            order, _ = leading(self.preprocessor.collapse(errors), count)
            return errors, self._nearest(similar, x[0], order)

        errors, nearest = zip(*self.inference.each(samples, of_batch), strict=True)
        order, shares = leading(self.preprocessor.collapse(np.concatenate(errors)), count)
        inverse = self.preprocessor.inverse(self.similar.rows.cpu().double().numpy())
        normal = _as_table(inverse, self.preprocessor)
        table = _as_table(X, self.preprocessor)
        whose = "normal rows" if self.are_marginals else "similar normal rows"
        return describe(self.preprocessor.columns_, table, normal, order, shares, np.concatenate(nearest), whose)

    def _combined_score(self, rows: Tensor) -> Tensor:
        member_scores = self.inference.scores(self.inference.expand(rows)).cpu().double().numpy()
        return torch.from_numpy(self.calibration.combine(member_scores)).to(rows)

    @staticmethod
    def _nearest(similar: SimilarRows, x: Tensor, columns: np.ndarray) -> np.ndarray:
        """Return the similar normal rows for some columns of each row: ``(B, D)``, ``(B, k)`` -> ``(B, k, R)``."""
        distances = similar.distances(x)
        found = np.zeros((*columns.shape, min(SIMILAR, len(similar.rows))), dtype=np.int64)
        for number in similar.scored:
            rows, ranks = np.nonzero(columns == number)
            chosen = torch.from_numpy(rows).to(x.device)
            found[rows, ranks] = similar.nearest(x[chosen], number, distances[chosen]).cpu().numpy()
        return found


def _as_table(X: Any, preprocessor: Preprocessor) -> pd.DataFrame:
    """Return the learned columns of rows as a DataFrame without their condition."""
    X = X.X if isinstance(X, Conditioned) else X
    if not isinstance(X, pd.DataFrame):
        X = pd.DataFrame(np.asarray(X, dtype=np.float64), columns=pd.Index(preprocessor.names_))
    return X[[column.name for column in preprocessor.columns_]]
