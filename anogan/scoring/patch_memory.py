"""Scores of feature maps place by place: whitening with local statistics, and distances to nearby normal patches."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..seeding import randperm
from .eigen import eigh
from .feature_distance import LearnedBuffers

SIDE = 3  # places of a cell along each axis
SHRINKAGE = 0.03  # added to covariances of standardised features
LEAST_SPREAD = 0.01  # of the features' mean spread, so that a nearly constant feature does not outweigh the others
LEAST_LEFT = 0.01  # of a variance, without an image that has nearly all of it
SAME = 0.01  # of the typical length of a patch: distance between a patch and itself by rounding, at most
TIE = 1e-4  # of the second distance, added so that two patches that are each other's nearest do not tie
IMAGES_AT_ONCE = 8
MOST_CANDIDATES = 4096  # patches that a cell's memory bank is chosen from

Grid = tuple[int, int]
"""Height and width of a feature map, in places; a map's patches are numbered row by row."""


def cells(grid: Grid, margin: int = 0) -> Tensor:
    """Return the numbers of the places in each cell of `SIDE` x `SIDE` of a grid (h, w): int64 ``(cells, places)``.

    Cells and places are numbered row by row. With a margin each cell also has the places around it. Places beyond the
    border are replaced by those at the border.
    """
    height, width = grid
    reach = torch.arange(-margin, SIDE + margin)
    rows, columns = ((torch.arange(0, n, SIDE)[:, None] + reach).clamp(0, n - 1) for n in (height, width))
    return (rows[:, None, :, None] * width + columns[None, :, None, :]).flatten(2).flatten(0, 1)


def in_full(patches: Tensor) -> Tensor:
    """Return patches that are held in half precision in single precision, and others as they are."""
    return patches.float() if patches.dtype == torch.float16 else patches


def times_transposed(rows: Tensor, matrices: Tensor) -> Tensor:
    """Return ``rows @ matrices.mT``: ``(g, n, F), (g, m, F)`` -> ``(g, n, m)``.

    ONNX Runtime takes less time for many matrices if they are the first factor, since it does not copy that one.
    """
    if torch.compiler.is_exporting():
        return (matrices @ rows.mT).mT
    return rows @ matrices.mT


def local_mean(maps: Tensor, weights: Tensor, side: int) -> Tensor:
    """Return the weighted mean of the ``side`` x ``side`` places around each: ``(B, 1, h, w)``, same -> same.

    It is zero where all weights are zero.
    """
    both = torch.cat([maps * weights, weights], dim=1)
    sums = avg_pool2d(both, side, stride=1, padding=side // 2, divisor_override=1)
    return sums[:, :1] / sums[:, 1:].clamp_min(torch.finfo(maps.dtype).tiny)


def by_place(values: Tensor, grid: Grid) -> Tensor:
    """Put values of the places in `cells` in the order of places: ``(cells, B * 9, ...)`` -> ``(B, h * w, ...)``."""
    places = cells(grid)
    position = torch.empty(grid[0] * grid[1], dtype=torch.int64)
    position[places.flatten()] = torch.arange(places.numel())
    each = values.unflatten(1, (-1, places.shape[1])).transpose(0, 1).flatten(1, 2)
    return each[:, position.to(values.device)]


class LocalWhitening(LearnedBuffers):
    """Whitened patches: zero mean at each place, unit covariance in each cell.

    The length of a whitened patch is its Mahalanobis distance (PaDiM, Defard 2021, arXiv:2011.08785), with the
    covariance shared by the 3x3 places of a cell.
    """

    learned: ClassVar = {
        "location": ("F",),
        "scale": ("F",),
        "mean": ("h * w", "F"),
        "whitening": ("cells", "F", "F"),
    }
    location: Tensor  # of a feature over all places
    scale: Tensor
    mean: Tensor  # of the standardised features
    whitening: Tensor

    def fit(self, patches: Tensor, grid: Grid, chosen: Tensor | None = None) -> None:
        """Learn from the patches ``(n, h * w, F)`` of n normal images, or of those whose numbers are given.

        They may be held in half precision. Only a part of them is copied at a time, since they fill a large part of the
        memory.
        """
        chosen = torch.arange(len(patches), device=patches.device) if chosen is None else chosen
        parts = chosen.split(IMAGES_AT_ONCE)
        mean = torch.stack([in_full(patches[part]).sum(0) for part in parts]).sum(0) / len(chosen)
        self.location = mean.mean(0)
        squares = torch.stack([(patches[part] - self.location).square().mean(1).sum(0) for part in parts]).sum(0)
        spread = (squares / len(chosen)).sqrt()
        self.scale = spread + LEAST_SPREAD * spread.mean() + 1e-6
        self.mean = self.standard(mean)
        whitening = []
        for places in cells(grid).to(patches.device):
            here = (self.standard(patches[chosen[:, None], places]) - self.mean[places]).flatten(0, 1)  # (n * 9, F)
            freedom = max(len(here) - len(places), 1)  # each place has a mean of its own
            values, vectors = eigh(here.mT @ here / freedom)
            # The symmetric root keeps the features in place, so that patches of neighbouring cells are comparable.
            whitening.append(((vectors * (values.clamp(min=0) + SHRINKAGE).rsqrt()) @ vectors.mT).to(here))
        self.whitening = torch.stack(whitening)

    def standard(self, patches: Tensor) -> Tensor:
        """Return patches ``(B, h * w, F)`` with each feature in units of its spread over all places."""
        return (patches - self.location) / self.scale

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """``(B, h * w, F)`` -> same."""
        standard = self.standard(patches) - self.mean
        places = cells(grid).to(patches.device)
        here = standard[:, places].transpose(0, 1).flatten(1, 2)  # (cells, B * 9, F)
        return by_place(times_transposed(here, self.whitening), grid)  # of symmetric matrices

    @staticmethod
    def left_out(white: Tensor, grid: Grid, learned: int) -> Tensor:
        """Return whitened patches as if the whitening had not learned from their image: ``(B, h * w, F)`` -> same.

        The covariance of whitened patches is the identity. Without the patches U of one of the N images that a cell
        has learned from, they lie N / (N - 1) times as far from the mean of their place, and their covariance is
        (N - 1) / (N - 2) (I - U'U N / (9 (N - 1)^2)). Whitening by it turns U into a multiple of
        (I - UU' N / (9 (N - 1)^2))^(-1/2) U.
        """
        places = cells(grid).to(white.device)
        here = white[:, places].transpose(0, 1)  # (cells, B, 9, F)
        others = max(learned - 1, 2)
        farther = learned / others * ((others - 1) / others) ** 0.5
        removed = learned / (places.shape[1] * others**2)
        values, vectors = eigh(removed * here @ here.mT)
        root = (vectors * (1 - values).clamp_min(LEAST_LEFT).rsqrt()[..., None, :]) @ vectors.mT
        return by_place((farther * root.to(here) @ here).flatten(1, 2), grid)


class PatchMemoryBank(LearnedBuffers):
    """Distance of a patch to the nearest normal patch of its cell or the ring around it.

    Parameters
    ----------
    size : int
        Patches in the memory bank of each cell: a greedy k-center coreset (Roth 2022, arXiv:2106.08265, algorithm 1),
        which keeps rare normal patches that random choice would lose.
    """

    learned: ClassVar = {"memory_bank": ("cells", "m", "E"), "squares": ("cells", "m"), "tolerance": (1,)}
    memory_bank: Tensor
    squares: Tensor  # squared lengths, which would take longer to compute for a single picture than its distances
    tolerance: Tensor  # below it a patch is the same patch

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def fit(self, patches: Tensor, grid: Grid, embed: Callable[[Tensor], Tensor]) -> Tensor:
        """Learn from the patches ``(n, h * w, F)`` of n normal images, embedded ``(B, F)`` -> ``(B, E)``.

        Returns the number of the image that each patch of the memory bank comes from: int64 ``(cells, m)``.
        """
        margins = cells(grid, margin=1).to(patches.device)
        banks, least = torch.empty(0), self.size
        images = torch.empty(len(margins), self.size, dtype=torch.int64, device=patches.device)
        for number, places in enumerate(margins):
            seen = patches[:, places.unique()]
            candidates = randperm(seen[..., 0].numel(), device=seen.device)[:MOST_CANDIDATES]
            embedded = embed(in_full(seen.flatten(0, 1)[candidates]))
            chosen = _farthest(embedded, self.size)
            if not number:  # all at once, since parts and their concatenation would fill the memory twice
                banks = embedded.new_empty(len(margins), self.size, embedded.shape[1])
            least = min(least, len(chosen))  # cells at the border have fewer places
            banks[number, :least] = embedded[chosen[:least]]
            images[number, :least] = candidates[chosen[:least]] // seen.shape[1]
        self.memory_bank = banks[:, :least].contiguous()
        self.squares = torch.stack([bank.square().sum(-1) for bank in self.memory_bank])
        self.tolerance = SAME * self.squares.mean().sqrt().reshape(1)
        return images[:, :least]

    def forward(self, patches: Tensor, grid: Grid, left_out: Tensor | None = None) -> Tensor:
        """``(B, h * w, E)`` -> ``(B, h * w)``, >= 0. A patch does not count as its own neighbour.

        ``left_out (B, cells, m)``, bool, says which patches of the memory bank do not count for an image.
        """
        places = cells(grid).to(patches.device)
        here = patches[:, places].transpose(0, 1).flatten(1, 2)  # (cells, B * 9, E)
        most = min(3, self.memory_bank.shape[1])
        # Squared distances (cells, B * 9, m) less the squared length of each patch, which does not change their order.
        squares = torch.sub(self.squares[:, None], times_transposed(here, self.memory_bank), alpha=2)
        if left_out is not None:
            # An image has all patches of a cell if those of others equal them.
            left_out = left_out & ((~left_out).sum(-1, keepdim=True) >= most)
            squares.unflatten(1, (len(patches), -1)).masked_fill_(left_out.transpose(0, 1)[:, :, None], torch.inf)
        lengths = (here * here).sum(-1, keepdim=True)
        nearest = (squares.topk(most, largest=False).values + lengths).clamp_min(0).sqrt()
        itself = (nearest[..., :1] <= self.tolerance).long()
        first, second = (nearest.gather(-1, (itself + rank).clamp(max=most - 1))[..., 0] for rank in (0, 1))
        return by_place(first + TIE * second, grid)


def k_center_greedy(rows: Tensor, size: int) -> Tensor:
    """Choose the first row, then repeatedly the row farthest from all chosen ones: ``(n, E)`` -> ``(m, E)``."""
    return rows[_farthest(rows, size)]


def _farthest(rows: Tensor, size: int) -> Tensor:
    """Return the numbers of the rows that `k_center_greedy` chooses: int64 ``(m,)``."""
    if len(rows) <= size:
        return torch.arange(len(rows), device=rows.device)
    squares = rows.square().sum(1)
    farthest, chosen = 0, [0]
    distances = torch.full_like(squares, torch.inf)
    for _ in range(size - 1):
        distances = torch.minimum(distances, squares + squares[farthest] - 2 * (rows @ rows[farthest]))
        farthest = int(distances.argmax())
        chosen.append(farthest)
    return torch.tensor(chosen, device=rows.device)
