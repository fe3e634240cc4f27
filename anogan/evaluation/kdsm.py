"""K-DSM: denoising score matching with a scale of noise for each column, as a baseline."""

from typing import Any, Self

import numpy as np
import torch
from scipy.stats import kurtosis
from torch import Tensor, nn

from ..seeding import OwnInitialisation, rand, randn, randperm, seeded

LEAST_SCALE, GREATEST_SCALE = 0.1, 3.0
TRIMMED = 0.02  # share of a column's values that is left out at each end
BINS = 200
GAUSSIAN_KURTOSIS = 3.0
FLAT_KURTOSIS = 1.8  # of a uniform distribution; taken for columns of two values
UNKNOWN_KURTOSIS = 1000.0  # of a constant column
DROPOUTS = (0.2, 0.1)  # after the first and the second layer of a block
ROWS_AT_ONCE = 4096


class KDSM:
    """Kurtosis-guided denoising score matching.

    A residual network s predicts from ``x + scales * noise`` the noise, negative: the score of the smoothed density in
    units of the scales. The anomaly score is ``|s(x)|``. The scale of a column is ``scale * (1 + slope * (kurtosis -
    3))``, from 0.1 to 3, where the kurtosis is that of the column's histogram with its bins in the order of their
    counts, the fullest in the middle.

    Parameters
    ----------
    scale : float
        Of the noise in a column whose kurtosis is Gaussian.
    slope : float
    width, blocks : int
        Of the network.
    epochs, batch_size : int
    draws : int
        Noisy copies of each row in a batch.
    learning_rate, weight_decay : float
        Of Adam.
    random_state : int

    Notes
    -----
    Settings are those of the authors' code for training on normal rows. With them a fit takes minutes on a CPU; a GPU
    is used if there is one.

    References
    ----------
    Zan, Rabbany, Livernoche: Kurtosis-guided denoising score matching for tabular anomaly detection.
    arXiv:2605.06955, 2026.
    """

    def __init__(
        self,
        scale: float = 0.5,
        slope: float = 0.33,
        width: int = 512,
        blocks: int = 6,
        epochs: int = 500,
        batch_size: int = 128,
        draws: int = 3,
        learning_rate: float = 5e-4,
        weight_decay: float = 5e-5,
        random_state: int = 0,
    ) -> None:
        self.scale = scale
        self.slope = slope
        self.width = width
        self.blocks = blocks
        self.epochs = epochs
        self.batch_size = batch_size
        self.draws = draws
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def get_params(self) -> dict[str, Any]:
        """Return the parameters, as scikit-learn's estimators do."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def fit(self, X: np.ndarray) -> Self:
        """Fit on standardised rows (n, d)."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        rows = torch.as_tensor(X, dtype=torch.float32, device=device)
        kurtoses = np.array([sorted_kurtosis(column) for column in X.T])
        scales = np.clip(self.scale * (1 + self.slope * (kurtoses - GAUSSIAN_KURTOSIS)), LEAST_SCALE, GREATEST_SCALE)
        self.scales_ = torch.as_tensor(scales, dtype=torch.float32, device=device)
        with seeded(self.random_state):
            with OwnInitialisation():
                self.network_ = residual_network(rows.shape[1], self.width, self.blocks)
            self.network_.to(device).train()
            optimizer = torch.optim.Adam(
                self.network_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
            for _ in range(self.epochs):
                for batch in rows[randperm(len(rows)).to(device)].split(self.batch_size):
                    copies = batch.repeat(self.draws, 1)
                    noise = randn(*copies.shape, device=device)
                    loss = (self.network_(copies + self.scales_ * noise) + noise).square().sum(dim=1).mean() / 2
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        self.network_.eval()
        return self

    @torch.no_grad()
    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        """Return the length of the predicted score at each row, float64 (n,)."""
        rows = torch.as_tensor(X, dtype=torch.float32, device=self.scales_.device)
        lengths = [torch.linalg.vector_norm(self.network_(batch), dim=1) for batch in rows.split(ROWS_AT_ONCE)]
        return torch.cat(lengths).cpu().double().numpy()


def sorted_kurtosis(column: np.ndarray) -> float:
    """Return the kurtosis of a column (n,) whose histogram's bins are sorted: the fullest in the middle."""
    start = int(len(column) * TRIMMED)
    kept = np.sort(column)[start : len(column) - start]
    values = np.unique(kept)
    if len(values) <= 2:
        return FLAT_KURTOSIS if len(values) == 2 else UNKNOWN_KURTOSIS
    counts, edges = np.histogram(kept, bins=BINS)
    order = np.arange(BINS)
    places = np.empty(BINS)
    places[np.argsort(-counts, kind="stable")] = np.where(order % 2 == 1, (order + 1) // 2, -(order // 2))
    bins = np.clip(np.searchsorted(edges, kept, side="right") - 1, 0, BINS - 1)
    return float(kurtosis(places[bins], fisher=False))


class Block(nn.Module):
    """Two layers whose output is added to the input ``(n, width)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm1d(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        inner = self._dropped(self.first(self.normalise(h)).relu(), DROPOUTS[0])
        return h + self._dropped(self.second(inner), DROPOUTS[1])

    def _dropped(self, h: Tensor, share: float) -> Tensor:
        return h * (rand(*h.shape, device=h.device) >= share) / (1 - share) if self.training else h


def residual_network(columns: int, width: int, blocks: int) -> nn.Module:
    """Return a network for rows ``(n, columns)`` -> same."""
    body = [Block(width) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(columns, width), *body, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, columns))
