"""DDAE: a denoising autoencoder with the noise schedule of diffusion models, as a baseline."""

import math
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..seeding import OwnInitialisation, rand, randn, randperm, seeded

FIRST_VARIANCE, LAST_VARIANCE = 1e-4, 0.02  # of the noise that each step of the schedule adds
LEVEL_FEATURES = 4
LONGEST_PERIOD = 10_000.0
ROWS_AT_ONCE = 4096


class DDAE:
    """Diffusion-scheduled denoising autoencoder.

    A network restores rows x from ``x_t = sqrt(a_t) x + sqrt(1 - a_t) noise``, where a_t is the product of 1 - b over
    the first t steps, and b rises linearly. The score is the sum over all levels t of ``|x - network(x_t, t)|``.

    Parameters
    ----------
    levels : int
        Length T of the schedule; its first level has hardly any noise and is left out.
    width : int
        Units in each of the two hidden layers.
    epochs, batch_size : int
    learning_rate : float
        Of Adam.
    random_state : int

    Notes
    -----
    Settings are those of the authors' code for training on normal rows. Every level is scored with noise from
    `random_state`, so that equal rows at the same place get equal scores.

    References
    ----------
    Sattarov, Schreyer, Borth: Diffusion-scheduled denoising autoencoders for anomaly detection in tabular data.
    KDD 2025, arXiv:2508.00758.
    """

    def __init__(
        self,
        levels: int = 50,
        width: int = 512,
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.levels = levels
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def get_params(self) -> dict[str, Any]:
        """Return the parameters, as scikit-learn's estimators do."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def fit(self, X: np.ndarray) -> Self:
        """Fit on standardised rows (n, d)."""
        variances = torch.linspace(FIRST_VARIANCE, LAST_VARIANCE, self.levels)
        self.kept_ = (1 - variances).cumprod(0)  # a_t
        rows = torch.as_tensor(X, dtype=torch.float32)
        d = rows.shape[1]
        with seeded(self.random_state):
            with OwnInitialisation():
                self.network_ = nn.Sequential(
                    nn.Linear(d + LEVEL_FEATURES, self.width),
                    nn.LeakyReLU(),
                    nn.Linear(self.width, self.width),
                    nn.LeakyReLU(),
                    nn.Linear(self.width, d),
                )
            optimizer = torch.optim.Adam(self.network_.parameters(), lr=self.learning_rate)
            for _ in range(self.epochs):
                for batch in rows[randperm(len(rows))].split(self.batch_size):
                    level = 1 + (rand(len(batch)) * (self.levels - 1)).long()
                    loss = mse_loss(self._restored(batch, level), batch)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        return self

    @torch.no_grad()
    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Return the sum of the distances to the restored rows over all levels of noise, float64 (n,)."""
        rows = torch.as_tensor(X, dtype=torch.float32)
        with seeded(self.random_state):
            parts = [self._distances(batch) for batch in rows.split(ROWS_AT_ONCE)]
        return torch.cat(parts).double().numpy()

    def _distances(self, rows: Tensor) -> Tensor:
        levels = [torch.full((len(rows),), level) for level in range(1, self.levels)]
        return torch.stack([torch.linalg.vector_norm(rows - self._restored(rows, t), dim=1) for t in levels]).sum(0)

    def _restored(self, rows: Tensor, level: Tensor) -> Tensor:
        """Add noise of each row's level, and remove it by the network."""
        kept = self.kept_[level][:, None]
        noisy = kept.sqrt() * rows + (1 - kept).sqrt() * randn(*rows.shape)
        half = LEVEL_FEATURES // 2
        angles = level[:, None] * torch.exp(-math.log(LONGEST_PERIOD) * torch.arange(half) / half)
        restored: Tensor = self.network_(torch.cat([noisy, angles.cos(), angles.sin()], dim=1))
        return restored
