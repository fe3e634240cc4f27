"""Exact search for the nearest of many rows: by faiss on the CPU, by torch on other devices."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

VALUES_AT_ONCE = 2**22  # bounds the distance matrix of a search by torch
ROWS_AT_ONCE = 4096  # rows that are searched at once, which fit into a processor's cache
FEWEST_FOR_PRODUCTS = 20  # queries for which matrix products are the fastest way to find the nearest rows


class NearestRows:
    """Distances to the nearest of some rows.

    The search finds which rows are nearest, in float32. Their distances are then computed from the differences, in the
    precision of the rows, because the products that a search consists of round to about 1e-3 of a row's length. So
    results do not depend on how queries are batched, nor on the device but for its rounding, and have gradients.

    Parameters
    ----------
    rows : (m, q) tensor
    least : (m,) tensor or None
        The smallest distance at which each row counts; all that are above zero are equal.
    """

    def __init__(self, rows: Tensor, least: Tensor | None = None) -> None:
        self.rows = rows
        self.least = least
        near, far = (rows, rows[:0]) if least is None else (rows[least == 0], rows[least > 0])
        self._near, self._far = ([_Part(part) for part in own.split(ROWS_AT_ONCE) if len(part)] for own in (near, far))
        self._floor = rows.new_zeros(1) if least is None else least.max()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rows, self.least)

    def __call__(self, x: Tensor, k: int) -> Tensor:
        """Return the distances to the k nearest rows, k <= m, ascending: ``(B, q)`` -> ``(B, k)``."""
        found = [part(x, min(k, len(part.rows))) for part in self._near]
        found += [part(x, min(k, len(part.rows))).maximum(self._floor) for part in self._far]
        distances = torch.cat(found, dim=1) if len(found) > 1 else found[0]
        return distances.sort(dim=1).values[:, :k]

    def kth(self, x: Tensor, k: int, same: Tensor) -> Tensor:
        """Return the distance to the k-th nearest row, not counting a nearest one that is at most ``same`` away.

        ``(B, q)`` -> ``(B,)``. Among fewer than k others it is the distance to the farthest.
        """
        most = len(self.rows)
        if torch.compiler.is_exporting():  # a graph takes one way for all rows
            nearest = self(x, min(k + 1, most))
            itself = (nearest[:, :1] <= same).long()
            return nearest.gather(1, (k - 1 + itself).clamp(max=nearest.shape[1] - 1))[:, 0]
        distances = self(x, min(k, most))
        itself = (distances[:, 0] <= same).nonzero().flatten()
        result = distances[:, -1]
        if len(itself) and most > k:  # few rows of new data are in the rows, and one neighbour is found faster than two
            result = result.index_copy(0, itself, self(x[itself], k + 1)[:, -1])
        return result


class _Part:
    """The search among rows that are searched at once."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.centre = rows.mean(0)  # distances between short vectors round less

    def __call__(self, x: Tensor, k: int) -> Tensor:
        nearest = self.rows[self.search((x.detach() - self.centre).float(), k)]  # (B, k, q)
        return torch.linalg.vector_norm(x[:, None] - nearest, dim=-1)

    def search(self, x: Tensor, k: int) -> Tensor:
        """Return the positions of the nearest rows: ``(B, q)`` -> int64 ``(B, k)``."""
        if torch.compiler.is_exporting():
            rows = (self.rows - self.centre).float()
            return (rows.square().sum(1) - 2 * x @ rows.mT).topk(k, dim=1, largest=False).indices
        if x.device.type != "cpu":
            rows = (self.rows - self.centre).float()
            at_once = max(VALUES_AT_ONCE // len(rows), 1)
            parts = [torch.cdist(part, rows).topk(k, dim=1, largest=False).indices for part in x.split(at_once)]
            return torch.cat(parts) if parts else x.new_zeros(0, k, dtype=torch.int64)
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        # By itself faiss takes products for far more queries only, and is up to seven times slower up to there.
        faiss.cvar.distance_compute_blas_threshold = FEWEST_FOR_PRODUCTS
        _, positions = self.index.search(x.contiguous().numpy(), k)
        return torch.from_numpy(positions)

    @cached_property
    def index(self) -> Any:
        """The index of faiss, which is made at the first search."""
        import faiss  # imported here, since it takes long to load

        index = faiss.IndexFlatL2(self.rows.shape[1])
        index.add((self.rows - self.centre).float().contiguous().numpy())
        return index
