"""Feature maps judged place by place: what is normal here, and how far a patch is from what was seen here."""

from collections.abc import Callable

import torch
from torch import Tensor

from .feature_distance import LearnedBuffers, nearest_distances

SIDE = 3  # places of a cell along each axis
SHRINKAGE = 0.03  # added to covariances of standardised features
LEAST_SPREAD = 0.01  # of the features' mean spread: what hardly ever varied may not outweigh all the rest
SAME = 0.01  # of the typical length of a patch, what rounding may put between a patch and itself
TIE = 1e-4  # of the next distance, added so that two patches that are each other's nearest do not tie
MOST_CANDIDATES = 4096  # patches that a cell's bank is chosen from

Grid = tuple[int, int]
"""Height and width of a feature map, in places; a map's patches are numbered row by row."""


def cells(grid: Grid, margin: int = 0) -> Tensor:
    """Numbers of the places in each cell of `SIDE` x `SIDE` of a grid (h, w), row by row: int64 ``(cells, places)``.

    With a margin each cell also has the places around it. What would lie beyond the border is the border's place
    again.
    """
    height, width = grid
    reach = torch.arange(-margin, SIDE + margin)
    rows, columns = ((torch.arange(0, n, SIDE)[:, None] + reach).clamp(0, n - 1) for n in (height, width))
    return (rows[:, None, :, None] * width + columns[None, :, None, :]).flatten(2).flatten(0, 1)


class LocalWhitening(LearnedBuffers):
    """Patches in units of what is usual at their place: zero mean at each place, unit covariance in each cell.

    The length of a whitened patch is its Mahalanobis distance (PaDiM, Defard 2021, arXiv:2011.08785), with the
    covariance shared by the 3x3 places of a cell.
    """

    learned = ("location", "scale", "mean", "whitening")
    location: Tensor  # (F,), of a feature over all places
    scale: Tensor  # (F,)
    mean: Tensor  # (h * w, F), of the standardised features
    whitening: Tensor  # (cells, F, F)

    def fit(self, patches: Tensor, grid: Grid) -> None:
        """Learn from the patches ``(n, h * w, F)`` of n normal pictures."""
        flat = patches.flatten(0, 1)
        spread = flat.std(0, correction=0)
        self.location, self.scale = flat.mean(0), spread + LEAST_SPREAD * spread.mean() + 1e-6
        standard = (patches - self.location) / self.scale
        self.mean = standard.mean(0)
        standard -= self.mean
        whitening = []
        for places in cells(grid).to(patches.device):
            here = standard[:, places].flatten(0, 1)  # (n * 9, F)
            freedom = max(len(here) - len(places), 1)  # each place has a mean of its own
            values, vectors = torch.linalg.eigh((here.mT @ here / freedom).cpu())  # not every device has it
            # The symmetric root keeps the features apart, so that patches of neighbouring cells compare.
            whitening.append(((vectors * (values.clamp(min=0) + SHRINKAGE).rsqrt()) @ vectors.mT).to(here))
        self.whitening = torch.stack(whitening)

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """``(B, h * w, F)`` -> same."""
        standard = (patches - self.location) / self.scale - self.mean
        places = cells(grid).to(patches.device)
        white = standard[:, places].transpose(0, 1).flatten(1, 2) @ self.whitening  # (cells, B * 9, F)
        result = torch.empty_like(standard)
        result[:, places] = white.unflatten(1, (len(patches), -1)).transpose(0, 1)
        return result


class PatchMemoryBank(LearnedBuffers):
    """Distance of a patch to the nearest normal one that was seen in its cell or next to it.

    Parameters
    ----------
    size : int
        Patches that each cell remembers: those of a greedy k-centre coreset (Roth 2022, arXiv:2106.08265,
        algorithm 1), which keeps rare normal ones where random choice would lose them.
    """

    learned = ("bank", "tolerance")
    bank: Tensor  # (cells, m, E)
    tolerance: Tensor  # (1,), a distance that only a patch has to itself

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def fit(self, patches: Tensor, grid: Grid, embed: Callable[[Tensor], Tensor]) -> None:
        """Learn from the patches ``(n, h * w, F)`` of n normal pictures, embedded ``(B, F)`` -> ``(B, E)``."""
        banks = []
        for places in cells(grid, margin=1).to(patches.device):
            seen = patches[:, places.unique()].flatten(0, 1)
            chosen = torch.randperm(len(seen), device=seen.device)[:MOST_CANDIDATES]
            banks.append(k_centre(embed(seen[chosen]), self.size))
        least = min(len(bank) for bank in banks)  # of cells at the border, which have fewer places
        self.bank = torch.stack([bank[:least] for bank in banks])
        self.tolerance = SAME * self.bank.square().sum(-1).mean().sqrt().reshape(1)

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """``(B, h * w, E)`` -> ``(B, h * w)``, >= 0. A patch does not vouch for itself."""
        places = cells(grid).to(patches.device)
        here = patches[:, places].transpose(0, 1).flatten(1, 2)  # (cells, B * 9, E)
        most = min(3, self.bank.shape[1])
        nearest = nearest_distances(here, self.bank, most)
        itself = (nearest[..., :1] <= self.tolerance).long()
        first, second = (nearest.gather(-1, (itself + rank).clamp(max=most - 1))[..., 0] for rank in (0, 1))
        distances = first + TIE * second
        result = patches.new_empty(patches.shape[:2])
        result[:, places] = distances.unflatten(1, (len(patches), -1)).transpose(0, 1)
        return result


def k_centre(rows: Tensor, size: int) -> Tensor:
    """The first row, then each time the one farthest from all chosen ones: ``(n, E)`` -> ``(m, E)``."""
    if len(rows) <= size:
        return rows
    squares = rows.square().sum(1)
    farthest, chosen = 0, [0]
    distances = torch.full_like(squares, torch.inf)
    for _ in range(size - 1):
        distances = torch.minimum(distances, squares + squares[farthest] - 2 * (rows @ rows[farthest]))
        farthest = int(distances.argmax())
        chosen.append(farthest)
    return rows[chosen]
