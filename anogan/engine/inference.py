"""Scores and maps of a trained module: batches of samples in, numpy arrays out."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples
from ..data.tiles import TiledSamples, in_tiles
from .module import GANModule, Prediction

VALUES_PER_BATCH = 2**20  # numbers in a scored batch, over all members
FEWEST_ROWS_PER_BATCH, MOST_ROWS_PER_BATCH = 16, 8192
ROWS_PER_BLOCK = 64
"""Rows are scored in multiples of this many. Matrix products round the last rows of other batches differently, and few
rows throughout, so that a row's score would depend on how many rows are scored with it."""

Result = TypeVar("Result")


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

    @property
    def eps(self) -> float:
        """The precision of the module's numbers."""
        return torch.finfo(self.weight.dtype).eps

    def expand(self, batch: Tensor) -> Tensor:
        """Return ``(B, *shape)`` as ``(K, B, *shape)`` on the module's device."""
        return batch.to(self.weight.device).expand(self.members, *batch.shape)

    def each(self, samples: Samples, function: Callable[[Tensor], Result]) -> list[Result]:
        """Return a function of each batch ``(K, B, *shape)`` in order; of the tiles of `TiledSamples`.

        On the CPU batches of rows are computed at once, each on one thread: operations on them are so short that
        threads which share each operation would mostly wait for each other. This is so in calls from the main thread;
        others, as those of a service, are many by themselves. The function must not depend on which batch came before.
        """
        samples = in_tiles(samples)
        values = prod(self.shape) * self.members
        rows = min(max(VALUES_PER_BATCH // values, FEWEST_ROWS_PER_BATCH), MOST_ROWS_PER_BATCH)
        number = -(-len(samples) // rows)
        is_main = threading.current_thread() is threading.main_thread()
        are_rows = len(self.shape) == 1
        threads = torch.get_num_threads() if is_main and are_rows and self.weight.device.type == "cpu" else 1
        at_once = min(threads, number) > 1
        if at_once:
            number += -number % threads  # as many for each thread
            rows = -(-len(samples) // number)
            rows += -rows % ROWS_PER_BLOCK
        indices = np.arange(len(samples))
        batches = [indices[i : i + rows] for i in range(0, len(indices), rows)]
        if not at_once:
            with torch.no_grad():
                return [function(self.expand(batch)) for batch in samples.batches(batches)]

        def on_one_thread(batch: np.ndarray) -> Result:
            torch.set_num_threads(1)  # in this thread and in those that begin meanwhile
            with torch.no_grad():
                return function(self.expand(samples.batch(batch)))

        try:
            with ThreadPoolExecutor(threads, thread_name_prefix="anogan-score") as pool:
                return list(pool.map(on_one_thread, batches))
        finally:
            torch.set_num_threads(threads)

    def score(self, samples: Samples) -> np.ndarray:
        """Return the score of each sample by each member: float64 ``(K, n)``, or ``(1, n)`` if they score jointly.

        The score of a picture in tiles is that of its most unusual tile.
        """
        scores = np.concatenate(self.each(samples, lambda x: _array(self.scores(x))), axis=1)
        return _of_pictures(scores, samples)

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores of a batch ``(K, B, *shape)`` on the module's device, which do not depend on the batch."""
        count = x.shape[1]
        missing = -count % ROWS_PER_BLOCK if x.ndim == 3 else 0  # a picture is a product of many rows by itself
        if missing:
            x = torch.cat([x, x[:, -1:].expand(-1, missing, -1)], dim=1)
        return self.module.score(x)[:, :count]

    def mean(self, samples: Samples, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return a function ``(K, B, *shape) -> (K, B, *shape)`` of each sample, averaged over members."""
        return np.concatenate(self.each(samples, lambda x: _array(function(x).mean(0))))  # (n, *shape)

    def mean_map(self, samples: Samples, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return a map that is such a function; those of a picture's tiles are stitched."""
        if not isinstance(samples, TiledSamples):
            return self.mean(samples, function)
        pictures = range(len(samples))
        return np.stack([samples.stitch(i, self.mean(samples.subset(np.array([i])), function)) for i in pictures])

    def predict(self, samples: Samples, forward: Callable[[Tensor], Prediction]) -> ArrayPrediction:
        """Return what ``forward`` computes of each batch, reading the samples once.

        Parameters
        ----------
        forward : callable, (K, B, *shape) -> Prediction
            With a map.
        """
        if isinstance(samples, TiledSamples):
            parts = [self._predict_tiles(samples.subset(np.array([i])), forward) for i in range(len(samples))]
            return ArrayPrediction(
                np.concatenate([part.scores for part in parts], axis=1), np.concatenate([part.maps for part in parts])
            )
        return self._predict(samples, forward)

    def _predict_tiles(self, picture: TiledSamples, forward: Callable[[Tensor], Prediction]) -> ArrayPrediction:
        scores, maps = self._predict(picture, forward)
        return ArrayPrediction(_of_pictures(scores, picture), picture.stitch(0, maps)[None])

    def _predict(self, samples: Samples, forward: Callable[[Tensor], Prediction]) -> ArrayPrediction:
        def arrays(x: Tensor) -> ArrayPrediction:
            scores, anomaly_map = forward(x)
            assert anomaly_map is not None
            return ArrayPrediction(_array(scores), _array(anomaly_map.mean(0)))

        scores, maps = zip(*self.each(samples, arrays), strict=True)
        return ArrayPrediction(np.concatenate(scores, axis=1), np.concatenate(maps))


def _of_pictures(scores: np.ndarray, samples: Samples) -> np.ndarray:
    """Return the greatest score of the tiles of each picture, if scores are those of tiles."""
    if not isinstance(samples, TiledSamples):
        return scores
    starts = np.concatenate([[0], samples.counts().cumsum()[:-1]])
    return np.asarray(np.maximum.reduceat(scores, starts, axis=1))


def _array(x: Tensor) -> np.ndarray:
    return np.asarray(x.cpu().double().numpy())
