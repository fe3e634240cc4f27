"""A word on whether training went well, from held-out normal rows."""

from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

NEIGHBOURS = 5
FEWEST_ROWS = 30  # below it the shares are too coarse to say anything
COLLAPSED = 0.2  # coverage below this is called mode collapse
DOMINANT = 0.98  # ranking accuracy above this: the critic has won


@dataclass(frozen=True)
class Diagnosis:
    """How training went.

    Attributes
    ----------
    healthy : bool
    verdict : str
        ``"healthy"``, or what is wrong in plain words.
    measures : dict of str to float
        ``coverage``: share of held-out normal rows with a generated row within the distance of their own k-th
        neighbour, in [0, 1] (Naeem 2020, arXiv:2002.09797, eq. 4); ``density``: how many real neighbourhoods a
        generated row falls into, about 1 for a perfect generator; ``critic_accuracy``: probability that the
        critic ranks a real row above a generated one, 0.5 at equilibrium. For generated pictures also, in the features
        of a pretrained network averaged over places: ``feature_coverage``, ``feature_density``, and
        ``frechet_distance``, 0 for equal distributions. It is biased upwards with few pictures, and no FID, which is
        defined on another network: it compares models of the same data.
    """

    healthy: bool
    verdict: str
    measures: dict[str, float] = field(default_factory=dict)


def coverage_and_density(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Coverage in [0, 1] and density >= 0 of generated rows ``(m, d)`` against real rows ``(n, d)``, n > k."""
    k = min(k, len(real) - 1)
    index = NearestNeighbors().fit(real)
    radius = index.kneighbors(real, k + 1)[0][:, -1]  # the row itself is its own first neighbour
    nearest_fake = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)[0][:, 0]
    distance = np.sqrt(
        np.maximum((real**2).sum(1)[:, None] + (fake**2).sum(1)[None] - 2 * real @ fake.T, 0.0)
    )  # (n, m)
    inside = (distance <= radius[:, None]).sum(0)  # real neighbourhoods around each generated row
    return float((nearest_fake <= radius).mean()), float(inside.mean() / k)


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance between the normal distributions fitted to rows ``(n, d)`` and ``(m, d)``, >= 0.

    Heusel 2017 (arXiv:1706.08500), eq. 6: ``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))``.
    """
    difference = real.mean(0) - fake.mean(0)
    a, b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (real, fake))
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # S S' has the eigenvalues of the symmetric S^(1/2) S' S^(1/2).
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return float(max(difference @ difference + np.trace(a) + np.trace(b) - 2 * overlap, 0.0))


def ranking_accuracy(real_logit: Tensor, fake_logit: Tensor) -> float:
    """P(real logit > generated logit) over all pairs of a member, ties count half: ``(K, B), (K, B)`` -> [0, 1]."""
    fake = fake_logit.sort(-1).values
    below, up_to = (torch.searchsorted(fake, real_logit.contiguous(), right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * fake.shape[-1])


def diagnose(
    real: np.ndarray,
    fake: np.ndarray | None,
    logits: tuple[Tensor, Tensor] | None,
    features: tuple[np.ndarray, np.ndarray] | None = None,
) -> Diagnosis:
    """Put held-out rows ``(n, d)``, generated rows ``(m, d)`` and critic logits ``(K, B)`` into a verdict.

    ``features`` are those of real and generated pictures in a pretrained network, ``(n, F)`` and ``(m, F)``.
    """
    real, chosen = np.unique(
        real, axis=0, return_index=True
    )  # a row among its own copies has no neighbourhood that a sample could fall into
    if len(real) < FEWEST_ROWS:
        return Diagnosis(True, f"not assessed: only {len(real)} different held-out rows, {FEWEST_ROWS} are needed")
    measures: dict[str, float] = {}
    troubles = []
    if fake is not None:
        measures["coverage"], measures["density"] = coverage_and_density(real, fake)
        if measures["coverage"] < COLLAPSED:
            troubles.append(f"mode collapse: samples cover {measures['coverage']:.0%} of the held-out rows")
    if features is not None:
        seen, made = features[0][chosen], features[1]
        measures["feature_coverage"], measures["feature_density"] = coverage_and_density(seen, made)
        measures["frechet_distance"] = frechet_distance(seen, made)
    if logits is not None:
        measures["critic_accuracy"] = ranking_accuracy(*logits)
        if measures["critic_accuracy"] > DOMINANT:
            troubles.append(
                f"critic won: it tells real from generated rows in {measures['critic_accuracy']:.0%} of pairs"
            )
    return Diagnosis(not troubles, "; ".join(troubles) or "healthy", measures)
