"""Distance of a feature vector to those of normal rows: nearest neighbours or Mahalanobis, differentiable."""

from typing import Any

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

ROWS_AT_ONCE = 1024  # bounds the (rows, bank) distance matrix


class FeatureBank(nn.Module):
    """Remembers features of normal rows, one bank per ensemble member.

    Parameters
    ----------
    distance : {"neighbours", "mahalanobis"}
        ``neighbours``: mean Euclidean distance to the ``neighbours`` nearest features. ``mahalanobis``: under the
        Ledoit-Wolf covariance of the features.
    neighbours : int
        For ``"neighbours"``.
    """

    centre: Tensor
    bank: Tensor

    def __init__(self, distance: str, neighbours: int) -> None:
        super().__init__()
        self.distance = distance
        self.neighbours = neighbours
        self.register_buffer("centre", torch.zeros(0))
        self.register_buffer("bank", torch.zeros(0))

    def fit(self, features: Tensor) -> None:
        """Learn from normal rows' features ``(K, n, F)``."""
        self.centre = features.mean(1, keepdim=True)  # (K, 1, F)
        if self.distance == "neighbours":
            self.bank = features.clone()
            return
        # The bank is a whitening matrix W with |W (f - centre)| the distance.
        whitening = []
        for member in features.cpu().double().numpy():
            precision = LedoitWolf().fit(member).precision_
            values, vectors = np.linalg.eigh(precision)
            whitening.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        self.bank = torch.as_tensor(np.stack(whitening)).to(features)  # (K, F, F)

    def forward(self, features: Tensor) -> Tensor:
        """``(K, B, F)`` -> ``(K, B)``, >= 0."""
        if self.distance == "mahalanobis":
            return torch.linalg.vector_norm((features - self.centre) @ self.bank, dim=-1)
        k = min(self.neighbours, self.bank.shape[1])
        return torch.cat(
            [
                torch.cdist(rows, self.bank).topk(k, dim=-1, largest=False, sorted=False).values.mean(-1)
                for rows in features.split(ROWS_AT_ONCE, dim=1)
            ],
            dim=1,
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The sizes of the buffers are learned, so a fresh bank takes those of the file.
        for name in ("centre", "bank"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.centre.device))
        super()._load_from_state_dict(state_dict, prefix, *args)
