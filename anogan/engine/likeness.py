"""How alike generated and real samples are: measures of two sets of rows or pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial.distance import cdist, pdist
from torch import Tensor

NEIGHBOURS = 5
ORDINARY = 0.75  # share of the real rows whose neighbourhoods are as large as they are


def likeness(real: np.ndarray, reference: np.ndarray, fake: Sequence[np.ndarray], prefix: str = "") -> dict[str, float]:
    """Return ``coverage`` and ``precision`` of generated rows, averaged over members, and those of other real rows.

    Parameters
    ----------
    real : (n, d)
        Different held-out rows.
    reference : (r, d)
        Other real rows: no more can be asked for than what they reach, ``real_coverage`` and ``real_precision``.
    fake : K times (m, d)
        Generated rows of each member.
    prefix : str
        What the names of the measures start with, after ``real_``.
    """
    coverage, precision = np.mean([coverage_and_precision(real, rows) for rows in fake], axis=0).tolist()
    real_coverage, real_precision = coverage_and_precision(real, reference)
    return {
        f"{prefix}coverage": coverage,
        f"{prefix}precision": precision,
        f"real_{prefix}coverage": real_coverage,
        f"real_{prefix}precision": real_precision,
    }


def coverage_and_precision(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Return coverage and precision of generated rows ``(m, d)`` against real rows ``(n, d)``, n > k: both in [0, 1].

    Coverage is the share of real rows with a generated row within the distance of their k-th neighbour (Naeem 2020,
    arXiv:2002.09797, eq. 4), and precision the share of generated rows within such a distance of a real row
    (Kynkäänniemi 2019, arXiv:1904.06991, eq. 1). Rows far from all others have such large neighbourhoods that blurs
    fall into them; for the precision no neighbourhood is larger than those of a share of `ORDINARY` of the rows.
    """
    from sklearn.neighbors import NearestNeighbors  # imported here, since it loads a large part of scikit-learn

    k = min(k, len(real) - 1)
    index = NearestNeighbors().fit(real)
    radius = index.kneighbors(real, k + 1)[0][:, -1]  # each row is its own first neighbour
    nearest_fake = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)[0][:, 0]
    ordinary = np.minimum(radius, np.quantile(radius, ORDINARY))
    resembles = (cdist(real, fake) <= ordinary[:, None]).any(0)
    return float((nearest_fake <= radius).mean()), float(resembles.mean())


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the Fréchet distance between the normal distributions fitted to rows ``(n, d)`` and ``(m, d)``, >= 0.

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
    """Return P(real logit > generated logit) over all pairs, ties count half: ``(K, B), (K, B)`` -> [0, 1]."""
    fake = fake_logit.sort(-1).values
    below, up_to = (torch.searchsorted(fake, real_logit.contiguous(), right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * fake.shape[-1])


def diversity(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the mean distance between generated rows ``(m, d)`` relative to that between real rows ``(n, d)``."""
    spread = pdist(real).mean()
    return float(pdist(fake).mean() / spread) if spread else 1.0


def distinctness(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the median distance of generated rows to the nearest other one, relative to that of as many real rows.

    It is near 0 for a generator that repeats few rows, however far these are from each other: with few modes some of
    its samples are the same (Arora & Zhang 2017, arXiv:1706.08224).
    """
    rows = min(len(real), len(fake))
    distances = [cdist(part[:rows], part[:rows]) + np.diag(np.full(rows, np.inf)) for part in (real, fake)]
    of_real, of_fake = (float(np.median(each.min(1))) for each in distances)
    return of_fake / of_real if of_real else 1.0


def sharpness(real: Tensor, fake: Tensor) -> float:
    """Return how much neighbouring pixels of ``fake`` differ, relative to those of ``real``: 1 is as sharp, >= 0.

    The squared differences of neighbouring pixels of pictures ``(..., H, W)`` are averaged. Blurs are far below 1,
    and noise can be above.
    """
    energies = [
        sum(float(pictures.double().diff(dim=axis).square().mean()) for axis in (-1, -2) if pictures.shape[axis] > 1)
        for pictures in (real, fake)
    ]
    return float((energies[1] / energies[0]) ** 0.5) if energies[0] else 1.0


def nearest(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the nearest one of the known rows ``(r, d)`` to each row: ``(n, d)`` -> same."""
    return np.asarray(known[cdist(rows, known).argmin(1)])


def explained_variance(rows: np.ndarray, reconstructed: np.ndarray, mean: np.ndarray) -> float:
    """Return the share of the squared distances from the mean row ``(d,)`` that reconstructions explain, at most 1.

    It is 1 for perfect reconstructions, 0 for those that are as far from their rows ``(n, d)`` as the mean is.
    """
    variance = ((rows - mean) ** 2).sum()
    return float(1 - ((rows - reconstructed) ** 2).sum() / variance) if variance else 1.0
