"""Whether samples that follow each other are alike, so that those held out at random say too little of new ones."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..data.digests import digests_of
from ..data.samples import Samples

MOST_REPEATED = 0.05  # share of rows that equal others
OWN_VALUES = 0.7  # of different rows, that a column of a copied table has at least, relative to their number
FEWEST_DIFFERENT = 20  # rows, for a column to tell
MOST_RELATED = 0.95  # rank correlation of two columns that tell
RANKED = 10_000  # rows by which columns are compared, at most
SORTED = 0.95  # rank correlation of a column and the order of the rows, from which on they are sorted by it
CLUSTERED = 0.5  # runs of equal categories relative to those in random order, up to which rows are sorted by them
FEWEST_SAMPLES = 100  # of fewer, a fifth says nothing
BLOCKS = 5  # that samples are left out in, one at a time
USUAL = 0.95  # quantile of the distances of samples that are left out at random
MOST_VALUES, MOST_SAMPLES = 2**22, 4000  # that are compared
RUN = 40  # samples that follow each other, at least, where not all are compared
SIDE = 16  # pixels that pictures are reduced to


def copied_rows(rows: Samples, columns: Sequence[slice], seed: int) -> np.ndarray | None:
    """Return which rows are copies of each other, as numbers (n,) from 0 in the order in which they first occur.

    None if hardly any row is repeated, or if rows with few different values may be equal by chance. They are copies if
    two columns, which do not determine each other, have a different value in nearly each of the different rows: then
    two rows that share a value in one of them share all others, as after a join or a forward fill.

    Parameters
    ----------
    rows : n samples (F,)
    columns : sequence of slice
        Where columns are encoded, with the value of a number first; empty if every value is a column.
    seed : int
        Of the digests by which rows are compared.
    """
    digests = digests_of(rows, seed)
    _, first, numbers, counts = np.unique(digests, return_index=True, return_inverse=True, return_counts=True)
    if counts[counts > 1].sum() <= MOST_REPEATED * len(digests) or len(first) < FEWEST_DIFFERENT:
        return None
    different = rows.batch(first)
    ranks: list[np.ndarray] = []  # of the columns so far whose values are the rows' own
    chosen = np.linspace(0, len(first) - 1, min(len(first), RANKED)).astype(np.int64)
    for place in [place.start for place in columns] or range(different.shape[1]):
        values = different[:, place].numpy()
        if len(np.unique(values)) >= OWN_VALUES * len(first):
            own = np.unique(values[chosen], return_inverse=True)[1]
            if any(abs(np.corrcoef(own, other)[0, 1]) <= MOST_RELATED for other in ranks):
                return np.asarray(first.argsort().argsort()[numbers])
            ranks.append(own)
    return None


@torch.no_grad()
def unlike_in_blocks(samples: Samples, columns: Sequence[slice], seed: int) -> float:
    """Return which share of the samples is far from all others if blocks are left out, compared to random samples.

    Of each of `BLOCKS` blocks, which follow each other in the samples' order, it is the share that lies farther from
    the nearest sample outside of the block than 95 % of samples that are left out at random; the median over the
    blocks is returned, so that a trend, which makes the first and the last block unusual, does not count. It is about
    0.05 if samples are exchangeable, as the promise of a conformal threshold requires (Vovk et al. 2005), and more if
    they come in groups, such as pictures of one part. NaN for fewer than 100 samples.

    Columns by which a table is sorted, with gaps too, do not count, since sorting makes no groups of independent rows.

    Parameters
    ----------
    samples : Samples
        Rows, or pictures.
    columns : sequence of slice
        Where the columns of rows that count are encoded; empty if every value is a column.
    seed : int
        Of the samples that are left out at random.
    """
    if len(samples) < FEWEST_SAMPLES:
        return float("nan")
    x = _compared(samples)
    if len(samples.batch(np.arange(1)).shape) == 2:
        x = _unsorted(x, columns or [slice(place, place + 1) for place in range(x.shape[1])])
    order = np.random.default_rng(seed).permutation(len(x))
    at_random = torch.cat([_nearest(x, part) for part in np.array_split(order, BLOCKS)])
    limit = at_random.quantile(USUAL)
    shares = [(_nearest(x, part) > limit).double().mean() for part in np.array_split(np.arange(len(x)), BLOCKS)]
    return float(torch.stack(shares).median())


def _compared(samples: Samples) -> Tensor:
    """Return vectors of the samples, or of evenly spaced runs of them: ``(m, F)``, in their order."""
    count, shape = len(samples), samples.batch(np.arange(1)).shape[1:]
    features = SIDE**2 if len(shape) == 3 else shape.numel()
    most = min(max(MOST_VALUES // features, FEWEST_SAMPLES), MOST_SAMPLES)
    numbers = np.arange(count)
    if count > most:
        starts = np.linspace(0, count - RUN, most // RUN).astype(np.int64)
        numbers = np.unique(starts[:, None] + np.arange(RUN))
    parts = np.array_split(numbers, -(-len(numbers) // RUN))
    return torch.cat([_vectors(batch) for batch in samples.batches(parts)])


def _vectors(x: Tensor) -> Tensor:
    """Return rows as they are, and pictures ``(B, C, H, W)`` reduced, with a mean of zero and a length of one."""
    if x.dim() == 2:
        return x
    grey = adaptive_avg_pool2d(x.nan_to_num(0.0).mean(1, keepdim=True), SIDE).flatten(1)
    centred = grey - grey.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


def _unsorted(x: Tensor, columns: Sequence[slice]) -> Tensor:
    """Return the columns of rows, but not those that rise or fall in their order, or whose categories lie in runs."""
    kept = torch.zeros(x.shape[1], dtype=torch.bool)
    for place in columns:
        kept[place] = not (_is_sorted if len(x[:, place.start].unique()) > 2 else _is_clustered)(x[:, place].numpy())
    return x[:, kept]


def _is_sorted(number: np.ndarray) -> bool:
    """Return whether a number (n, 1), or (n, 2) with an indicator of missing ones, rises or falls."""
    present = number[:, -1] == 0 if number.shape[1] == 2 else np.ones(len(number), dtype=bool)
    ranks = np.unique(number[present, 0], return_inverse=True)[1]
    return len(ranks) < 2 or abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) >= SORTED


def _is_clustered(category: np.ndarray) -> bool:
    """Return whether equal categories (n, k) follow each other; also if all are equal."""
    codes = np.unique(category, axis=0, return_inverse=True)[1].ravel()
    in_random_order = len(codes) - np.square(np.bincount(codes)).sum() / len(codes)
    return bool(np.count_nonzero(np.diff(codes)) <= CLUSTERED * in_random_order)


def _nearest(x: Tensor, part: np.ndarray) -> Tensor:
    """Return the distances of some vectors to the nearest one of the others."""
    others = torch.ones(len(x), dtype=torch.bool)
    others[part] = False
    return torch.cdist(x[part], x[others]).amin(1)
