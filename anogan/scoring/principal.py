"""Principal components of features, by scikit-learn, as buffers of a module."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .feature_distance import LearnedBuffers

LARGEST_COVARIANCE = 2048  # features; with more, principal components are approximated


def principal_components(rows: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Return the centre ``(1, F)`` and leading directions ``(F, q)`` of rows ``(n, F)``.

    Directions beyond those that the rows span would be arbitrary, so q may be less than ``dimensions``.
    """
    from sklearn.decomposition import PCA  # imported here, since it loads a large part of scikit-learn

    dimensions = min(dimensions, max(len(rows) - 1, 1), rows.shape[1])
    solver = "covariance_eigh" if rows.shape[1] <= LARGEST_COVARIANCE else "randomized"
    values = rows.cpu().double().numpy()
    with np.errstate(invalid="ignore"):  # explained shares of a variance of zero, which are not used
        pca = PCA(dimensions, svd_solver=solver, random_state=0).fit(
            values if len(values) > 1 else np.repeat(values, 2, 0)
        )
    return torch.as_tensor(pca.mean_[None]).to(rows), torch.as_tensor(pca.components_.T.copy()).to(rows)


class Projection(LearnedBuffers):
    """Projection onto the leading principal components, scaled by one factor to a given mean square.

    Parameters
    ----------
    dimensions : int
        Number of principal components.
    """

    learned: ClassVar = {"centre": (1, "F"), "directions": ("F", "q")}
    centre: Tensor
    directions: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions

    def fit(self, rows: Tensor, square: float) -> None:
        """Learn from rows ``(n, F)``, whose projections get the mean squared length ``square``."""
        self.centre, self.directions = principal_components(rows, self.dimensions)
        length = self(rows).square().sum(-1).mean().clamp_min(torch.finfo(rows.dtype).tiny)
        self.directions *= (square / length).sqrt()

    def forward(self, rows: Tensor) -> Tensor:
        """``(B, F)`` -> ``(B, q)``."""
        return (rows - self.centre) @ self.directions
