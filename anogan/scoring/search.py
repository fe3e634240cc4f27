"""Exact search for the nearest of many rows: by faiss on the CPU, by torch on other devices."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

VALUES_AT_ONCE = 2**22  # bounds the distance matrix of a search by torch
ROWS_AT_ONCE = 2816  # rows that are searched at once: about what a processor's cache holds, and measured to be fastest
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

    def another(self, x: Tensor, same: Tensor) -> Tensor:
        """Return the distance to the nearest row, or to the second one if the nearest is at most ``same`` away.

        ``(B, q)`` -> ``(B,)``. A single row is always the nearest.
        """
        most = min(2, len(self.rows))
        if torch.compiler.is_exporting():  # a graph takes one way for all rows
            nearest = self(x, most)
            itself = (nearest[:, :1] <= same).long()
            return nearest.gather(1, itself.clamp(max=most - 1))[:, 0]
        result = self(x, 1)[:, 0]
        itself = (result <= same).nonzero().flatten()
        if len(itself) and most > 1:  # few rows of new data are in the rows, and one neighbour is found faster than two
            result = result.index_copy(0, itself, self(x[itself], most)[:, -1])
        return result


class NearestInParts:
    """Distances to the nearest row in each of several parts of some rows.

    Their mean varies less than the distance to the nearest row of all, and they are found several times faster than
    the nearest rows of all (LeSiNN; Pang, Ting, Albrecht, ICDM Workshops 2015).

    Parameters
    ----------
    rows : (m, q) tensor
        In random order: every ``parts``-th row belongs to one part.
    parts : int
        At most m.
    least : (m,) tensor or None
        See `NearestRows`.
    """

    def __init__(self, rows: Tensor, parts: int, least: Tensor | None = None) -> None:
        self.rows, self.least = rows, least
        self._searches = [
            NearestRows(rows[part::parts], None if least is None else least[part::parts]) for part in range(parts)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.rows, len(self._searches), self.least)

    def __call__(self, x: Tensor, same: Tensor) -> Tensor:
        """``(B, q)`` -> ``(parts, B)``; a row that is at most ``same`` away does not count if there are others."""
        return torch.stack([search.another(x, same) for search in self._searches])


class _Part:
    """The search among rows that are searched at once."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.centre = rows.mean(0)  # distances between short vectors round less

    def __call__(self, x: Tensor, k: int) -> Tensor:
        positions = self.search((x.detach() - self.centre).float(), k)
        nearest = self.rows.index_select(0, positions.flatten()).unflatten(0, positions.shape)  # (B, k, q)
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
