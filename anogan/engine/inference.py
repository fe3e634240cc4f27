"""Scores and maps of a trained module: batches of samples in, numpy arrays out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples
from .module import GANModule, Prediction

VALUES_PER_BATCH = 2**20  # numbers in a scored batch, over all members
FEWEST_ROWS_PER_BATCH, MOST_ROWS_PER_BATCH = 16, 8192
ROWS_PER_BLOCK = 64
"""Rows are scored in multiples of this many. Matrix products round the last rows of other batches differently, and few
rows throughout, so that a row's score would depend on how many rows are scored with it."""


class ArrayPrediction(NamedTuple):
    """Scores and maps of all samples.

    Attributes
    ----------
    scores : (K, n) or (1, n) float64
        Of each member, or of all members together where the module is `joint`.
    maps : (n, *shape) float64
        Mean over members of the anomaly maps.
    """

    scores: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class Inference:
    """Evaluates a trained module in batches, without gradients.

    Parameters
    ----------
    module : GANModule
        In eval mode.
    members : int
        K, the leading axis that batches are expanded to.
    shape : tuple of int
        Shape of a sample. Batches hold more of smaller samples.
    """

    module: GANModule
    members: int
    shape: tuple[int, ...]

    @property
    def weight(self) -> Tensor:
        """A weight of the module, which has its device and its type."""
        return next(self.module.parameters())

    def expand(self, batch: Tensor) -> Tensor:
        """Return ``(B, *shape)`` as ``(K, B, *shape)`` on the module's device."""
        return batch.to(self.weight.device).expand(self.members, *batch.shape)

    def batches(self, samples: Samples) -> Iterator[Tensor]:
        """Yield all samples in order, as ``(K, B, *shape)``."""
        values = prod(self.shape) * self.members
        rows = min(max(VALUES_PER_BATCH // values, FEWEST_ROWS_PER_BATCH), MOST_ROWS_PER_BATCH)
        indices = np.arange(len(samples))
        for batch in samples.batches(indices[i : i + rows] for i in range(0, len(indices), rows)):
            yield self.expand(batch)

    @torch.no_grad()
    def score(self, samples: Samples) -> np.ndarray:
        """Return the score of each sample by each member: float64 ``(K, n)``, or ``(1, n)`` if they score jointly."""
        return np.concatenate([_array(self.scores(x)) for x in self.batches(samples)], axis=1)

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores of a batch ``(K, B, *shape)`` on the module's device, which do not depend on the batch."""
        count = x.shape[1]
        missing = -count % ROWS_PER_BLOCK if x.ndim == 3 else 0  # a picture is a product of many rows by itself
        if missing:
            x = torch.cat([x, x[:, -1:].expand(-1, missing, -1)], dim=1)
        return self.module.score(x)[:, :count]

    @torch.no_grad()
    def mean(self, samples: Samples, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return a function ``(K, B, *shape) -> (K, B, *shape)`` of each sample, averaged over members."""
        return np.concatenate([_array(function(x).mean(0)) for x in self.batches(samples)])  # (n, *shape)

    @torch.no_grad()
    def predict(self, samples: Samples, forward: Callable[[Tensor], Prediction]) -> ArrayPrediction:
        """Return what ``forward`` computes of each batch, reading the samples once.

        Parameters
        ----------
        forward : callable, (K, B, *shape) -> Prediction
            With a map.
        """
        scores, maps = [], []
        for x in self.batches(samples):
            score, anomaly_map = forward(x)
            assert anomaly_map is not None
            scores.append(_array(score))
            maps.append(_array(anomaly_map.mean(0)))
        return ArrayPrediction(np.concatenate(scores, axis=1), np.concatenate(maps))


def _array(x: Tensor) -> np.ndarray:
    return np.asarray(x.cpu().double().numpy())
