"""Distance of a feature vector to those of normal rows: nearest neighbours or Mahalanobis, differentiable."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.samples import Samples
from ..nn.layers import COLUMNS_PER_BLOCK, product

VALUES_AT_ONCE = 2**20  # numbers encoded at once, over all members
ROWS_AT_ONCE = 1024  # bounds the (rows, memory bank) distance matrix
GROUP = 64  # distances that are represented by their least one during the search for the nearest
GROUP_GAIN = 2  # least ratio of groups to neighbours at which grouping is faster


def nearest_distances(rows: Tensor, memory_bank: Tensor, neighbours: int) -> Tensor:
    """Return the distances to the nearest rows of a memory bank: ``(..., B, F), (..., m, F)`` -> ``(..., B, k)``.

    Distances are Euclidean and ascending.
    """

    def of(part: Tensor) -> Tensor:
        # By default cdist takes another way for few rows, which a graph cannot.
        mode = f"use_mm_for_euclid_dist{'' if torch.compiler.is_exporting() else '_if_necessary'}"
        distances = torch.cdist(part, bank, compute_mode=mode)[..., : memory_bank.shape[-2]]
        return least_values(distances, neighbours)

    # The product behind the distances has a width that does not round rows by their place; see `product`.
    missing = -memory_bank.shape[-2] % COLUMNS_PER_BLOCK
    bank = torch.cat([memory_bank, memory_bank[..., :1, :].expand(*memory_bank.shape[:-2], missing, -1)], dim=-2)
    if torch.compiler.is_exporting():  # a graph takes batches of any length, so they cannot be split here
        return of(rows)
    return torch.cat([of(part) for part in rows.split(ROWS_AT_ONCE, dim=-2)], dim=-2)


def least_values(values: Tensor, k: int) -> Tensor:
    """Return the k least values along the last axis, ascending: ``(..., m)`` -> ``(..., k)``.

    They are in the k groups with the least minima, and minima are much faster to compute than a sort.
    """
    groups = values.shape[-1] // GROUP
    if k * GROUP_GAIN > groups:
        return values.topk(k, dim=-1, largest=False).values
    grouped = values[..., : groups * GROUP].unflatten(-1, (groups, GROUP))
    best = grouped.amin(-1).topk(k, dim=-1, largest=False, sorted=False).indices  # (..., k)
    members = grouped.gather(-2, best.unsqueeze(-1).expand(*best.shape, GROUP)).flatten(-2)
    candidates = torch.cat([members, values[..., groups * GROUP :]], dim=-1)
    return candidates.topk(k, dim=-1, largest=False).values


def features_of(critic: nn.Module, samples: Samples, most: int, members: int) -> Tensor:
    """Return a critic's features of the first ``most`` samples, for a memory bank: ``(K, n, F)``."""
    weight = next(critic.parameters())
    rows = np.arange(min(len(samples), most))
    values = samples.batch(rows[:1]).numel() * members
    batch = int(np.clip(VALUES_AT_ONCE // values, 1, 512))
    batches = samples.batches(rows[i : i + batch] for i in range(0, len(rows), batch))
    return torch.cat([critic(x.to(weight).expand(members, *x.shape)).features for x in batches], dim=1)


def side_by_side(features: Tensor) -> Tensor:
    """Concatenate all members' features of each row: ``(K, B, F)`` -> ``(B, K * F)``."""
    return features.transpose(0, 1).flatten(1)


class LearnedBuffers(nn.Module):
    """A module whose buffers get their sizes from data; a new one takes the sizes from the state that it loads."""

    learned: ClassVar[dict[str, tuple[int | str, ...]]]
    """The shape of each buffer. A name stands for any size, which is the same wherever the name is used."""

    def __init__(self) -> None:
        super().__init__()
        for name in self.learned:
            self.register_buffer(name, torch.zeros(0))

    def shapes_fit(self, shapes: dict[str, tuple[int, ...]]) -> bool:
        """Whether buffers of these shapes agree with `learned` and with each other. A buffer may be empty."""
        sizes: dict[int | str, int] = {}
        for name, shape in shapes.items():
            pattern = self.learned[name]
            if shape == (0,):
                continue
            if len(shape) != len(pattern) or 0 in shape:
                return False
            for wanted, size in zip(pattern, shape, strict=True):
                if sizes.setdefault(wanted, wanted if isinstance(wanted, int) else size) != size:
                    return False
        return True

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.learned:
            if prefix + name in state_dict:
                device = getattr(self, name).device
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=device))
        super()._load_from_state_dict(state_dict, prefix, *args)


class FeatureDistance(LearnedBuffers):
    """Distance to the features of normal rows, separately for each ensemble member.

    Parameters
    ----------
    distance : {"neighbours", "mahalanobis"}
        ``neighbours``: mean Euclidean distance to the ``neighbours`` nearest features. ``mahalanobis``: under the
        Ledoit-Wolf covariance of the features.
    neighbours : int
        Number of nearest neighbours, for ``"neighbours"``.
    """

    learned: ClassVar = {"centre": ("K", 1, "F"), "memory_bank": ("K", "n", "F"), "whitening": ("K", "F", "F")}
    centre: Tensor
    memory_bank: Tensor  # for nearest neighbours
    whitening: Tensor  # W with |(f - centre) W| the distance, for Mahalanobis

    def __init__(self, distance: str, neighbours: int) -> None:
        super().__init__()
        self.distance = distance
        self.neighbours = neighbours

    def fit(self, features: Tensor) -> None:
        """Learn from normal rows' features ``(K, n, F)``."""
        self.centre = features.mean(1, keepdim=True)  # (K, 1, F)
        if self.distance == "neighbours":
            self.memory_bank = features.clone()
            return
        from sklearn.covariance import LedoitWolf  # imported here, since it loads a large part of scikit-learn

        whitening = []
        for member in features.cpu().double().numpy():
            precision = LedoitWolf().fit(member).precision_
            values, vectors = np.linalg.eigh(precision)
            whitening.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        self.whitening = torch.as_tensor(np.stack(whitening)).to(features)  # (K, F, F)

    def forward(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(K, B)``, >= 0."""
        if self.distance == "mahalanobis":
            return torch.linalg.vector_norm(product(features - self.centre, self.whitening), dim=-1)
        return nearest_distances(features, self.memory_bank, min(self.neighbours, self.memory_bank.shape[1])).mean(-1)
