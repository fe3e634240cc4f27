"""Mahalanobis distance of patches to a Gaussian of their place, insensitive to changes that good pictures may have."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from .eigen import eigh
from .feature_distance import LearnedBuffers
from .nearby import Nearby
from .patch_memory import Grid, in_full, local_mean, times_transposed
from .tolerance import DEPTHS, FEWEST, POOLED, Levels, Tolerance, at_patches, pooled_grid

RIDGE = 0.01  # added to covariances of standardised features (PaDiM's epsilon)
LEAST_LEFT = 0.01  # of a direction's variance, without a picture that has nearly all of it
FEWEST_ROWS = 8  # products of fewer are rounded differently, and scores would depend on how many pictures are scored
EVERYWHERE = 0.1  # share of the changes at all places, beside those at the same place, in what does not count
FEW_PICTURES = 128  # that are left out by learning again, since closed forms are approximations
MEASURED = 4  # pictures that show how much distances fall when few pictures become more
PICTURES_AT_ONCE = 32
POOLS_AROUND = 2 * 24**2  # of pictures that are compared with several Gaussians at once: 2 pictures of 384x384 pixels
REACHED = 5  # Gaussians along each axis whose distances an interpolated one depends on, or nearly so
PLACES_AT_ONCE = 32  # bounds the covariances in memory, beside those that are kept


class Moments(NamedTuple):
    """What covariances are computed from."""

    pictures: int
    mean: Tensor  # (pools, F)
    scatter: Tensor  # (pools, F, F)
    shrinkage: float  # in [0, 1]
    changes: list[Tensor]  # of each kind (m, pools, F), what does not count
    everywhere: Tensor  # (F, F), the mean of their covariances at all places


class PlaceGaussian(LearnedBuffers):
    """Gaussians of 2x2 places each (PaDiM, Defard 2021, arXiv:2011.08785, with all features).

    Covariances of few pictures are unreliable. So they are shrunk towards the mean covariance of all places, with a
    coefficient ρ² for all, where ρ has the least expected error of the covariances (Ledoit & Wolf 2004). The distances
    need less of it, since they depend on directions of small variance, which the target does not have.

    What is a little out of its place is compared with the right Gaussian among those of its place and of the eight
    around it (`Nearby`).

    A covariance also has those of the differences between good pictures and changed copies of them, so that such
    changes do not count: the within-class covariance of speaker recognition (Hatch 2006).
    """

    learned: ClassVar = {"mean": ("pools", "F"), "whitening": ("pools", "F", "F"), "unit": (1,)}
    mean: Tensor
    whitening: Tensor
    unit: Tensor  # of distances

    def __init__(self) -> None:
        super().__init__()
        self.moved, self.overexposed = Tolerance(), Tolerance()
        self._moments: Moments | None = None  # until `learn_more`

    def fit(self, pooled: Tensor, changes: list[Tensor]) -> None:
        """Learn from standardised patches of n good pictures, after `pool`: ``(n, pools, F)``.

        Of each kind of change, ``changes`` has the differences ``(m, pools, F)`` between m pictures and their changed
        copies. They may be held in half precision.
        """
        mean = pooled.mean(0)
        centred = pooled - mean
        scatter = _scatter(centred)
        everywhere = torch.stack([_changed(changes, scatter, places).sum(0) for places in _parts(scatter)]).sum(0)
        everywhere /= len(mean)
        moments = Moments(len(pooled), mean, scatter, _shrinkage(centred, scatter), changes, everywhere)
        del centred
        self._solve(moments)
        self._moments = moments
        self.unit = pooled.new_ones(1)

    def left_out(self, pooled: Tensor, grid: Grid) -> Tensor:
        """Return the distances that the pictures of `fit` would have if they had not been learned: ``(n, pools)``."""
        assert self._moments is not None
        return self._left_out(pooled, self._moments, grid)

    def fit_overexposed(self, originals: Tensor, copies: Tensor, levels: Tensor, greatest: int) -> None:
        """Learn from m good pictures and overexposed copies of them what does not count, ``(m, pools, F)`` each.

        See `Tolerance.fit` for levels. Copies at one level differ in how strongly they are overexposed; a scale would
        take the weight of defects in all of them.
        """
        self.overexposed.fit(self._white_difference(originals, copies), levels, greatest)

    def fit_moved(self, originals: Tensor, copies: Tensor, depths: Tensor, grid: Grid) -> None:
        """Learn the same from copies that were shifted and moved back, with their `moved_depths`."""
        differences = self._white_difference(originals, copies)
        self.moved.fit(differences, depths, DEPTHS)
        counted, usual = copies.new_zeros(depths.shape), copies.new_zeros(depths.shape)
        learned = torch.zeros_like(depths, dtype=torch.bool)
        half = torch.arange(len(depths), device=depths.device) % 2
        for number in range(2):
            other = Tolerance()
            other.fit(differences[half != number], depths[half != number], DEPTHS, FEWEST // 2)
            for rows in torch.where(half == number)[0].split(PICTURES_AT_ONCE):
                counted[rows] = torch.linalg.vector_norm(other(self._nearest(copies[rows], grid), depths[rows]), dim=-1)
                usual[rows] = self.distances(originals[rows], grid)
                learned[rows] = other.applies(depths[rows])
        self.moved.fit_scale(counted, usual, depths * learned)

    def tolerated(self, white: Tensor, levels: Levels) -> Tensor:
        """Discount what shifts and overexposure change in ``(B, pools, F)``."""
        return self.overexposed(self.moved(white, levels.moved), levels.overexposed)

    def discounted(self, levels: Levels, grid: Grid) -> Tensor:
        """Return which patches are discounted: bool ``(B, h * w)``."""
        return at_patches(self.moved.applies(levels.moved) | self.overexposed.applies(levels.overexposed), grid)

    def discount(self, distances: Tensor, pooled: Tensor, levels: Levels, grid: Grid) -> None:
        """Reduce distances ``(n, pools)`` of learned pictures, as `forward` does those of new ones.

        ``pooled (n, pools, F)`` are their patches.
        """
        affected = (self.moved.applies(levels.moved) | self.overexposed.applies(levels.overexposed)).any(1)
        for rows in torch.where(affected)[0].split(PICTURES_AT_ONCE):
            white = self._nearest(pooled[rows], grid)
            counted = self.tolerated(white, levels.rows(rows))
            lengths, all_lengths = (torch.linalg.vector_norm(each, dim=-1) for each in (counted, white))
            distances[rows] *= lengths / all_lengths.clamp_min(torch.finfo(white.dtype).tiny)

    def learn_more(self, pooled: Tensor, inside: Tensor, grid: Grid) -> None:
        """Learn from further pictures ``(m, pools, F)`` too; see `fit`. Bool ``inside (m, pools)`` says what counts.

        More pictures give smaller distances of new ones. The unit follows, so that a threshold that these pictures set
        before still holds.
        """
        old, self._moments = self._moments, None
        if old is None:
            return
        before = self.distances(pooled, grid)
        total = old.pictures + len(pooled)
        more = pooled.mean(0)
        away = more - old.mean
        apart = away * (old.pictures * len(pooled) / total) ** 0.5
        for places in _parts(old.scatter):
            old.scatter[places] += _scatter(torch.cat([pooled[:, places] - more[places], apart[None, places]]))
        moments = old._replace(pictures=total, mean=old.mean + away * (len(pooled) / total))
        measured = pooled[:MEASURED] if total < FEW_PICTURES else pooled
        if total < FEW_PICTURES:
            after = []
            for picture in measured:
                self._solve(_without(moments, picture))
                after.append(self.distances(picture[None], grid))
            left_out = torch.cat(after)
            self._solve(moments)
        else:
            self._solve(moments)
            left_out = self._left_out(measured, moments, grid)
        inside = inside[: len(measured)]
        self.unit = self.unit * left_out[inside].mean() / before[: len(measured)][inside].mean()

    def forward(self, pooled: Tensor, inside: Tensor, grid: Grid, levels: Levels) -> Tensor:
        """Return distances, ``(B, pools, F)`` -> ``(B, h * w)``, >= 0. For ``inside`` see `at_places`."""
        white = self.tolerated(self._nearest(pooled, grid), levels)
        return self.at_places(torch.linalg.vector_norm(white, dim=-1) / self.unit, inside, grid)

    @staticmethod
    def at_places(distances: Tensor, inside: Tensor, grid: Grid) -> Tensor:
        """Interpolate distances between Gaussians: ``(B, pools)`` -> ``(B, h * w)``, >= 0.

        Linear interpolation would lower peaks, since no patch lies at the centre of its Gaussian's places. Gaussians
        without places that are ``inside (B, h * w)``, bool, do not count: their distances are replaced by the mean of
        those around, since great ones would lower what lies beside them.
        """
        coarse = distances.unflatten(1, pooled_grid(grid))[:, None]
        if coarse.shape[-2:] == grid:
            return coarse.flatten(1)
        if torch.compiler.is_exporting() or not inside.all():
            seen = pooled_inside(inside, grid).view_as(coarse)
            coarse = torch.where(seen, coarse, local_mean(coarse, seen.to(coarse), REACHED))
        return interpolate(coarse, size=grid, mode="bicubic", align_corners=False).flatten(1).clamp_min(0)

    def _white(self, pooled: Tensor) -> Tensor:
        count = pooled.shape[0]  # `len` would fix the batch of a graph
        if not torch.compiler.is_exporting():
            pooled = _padded(pooled, FEWEST_ROWS)
        return ((pooled - self.mean).transpose(0, 1) @ self.whitening).transpose(0, 1)[:count]  # (B, pools, F)

    def _white_difference(self, originals: Tensor, copies: Tensor) -> Tensor:
        """Return how whitened copies differ from their originals: ``(m, pools, F)`` each."""
        return ((copies - originals).transpose(0, 1) @ self.whitening).transpose(0, 1)

    def _around(self, pooled: Tensor, nearby: Nearby) -> Tensor:
        """Whiten what each Gaussian sees at all places around it: ``(B, pools, F)`` -> ``(pools, k, B, F)``.

        Its whitening, which takes longer to read than to multiply, is read once.
        """
        seen = pooled.transpose(0, 1)[nearby.seen]  # (pools, k, B, F)
        return (self._away(seen) @ self.whitening).view_as(seen)

    def _away(self, seen: Tensor) -> Tensor:
        """Return how far patches lie from the mean of their Gaussian: ``(pools, k, B, F)`` -> ``(pools, k * B, F)``."""
        return (seen - self.mean[:, None, None]).flatten(1, 2)

    def _halves_around(self, pooled: Tensor, nearby: Nearby) -> tuple[Tensor, ...]:
        """Return the first and the last features of `_around`: ``(pools * k, B, F / 2)`` each.

        Below the diagonal the whitening is zero, and a quarter of it need not be read.
        """
        away = self._away(pooled.transpose(0, 1)[nearby.seen])
        half = away.shape[-1] // 2
        first, last = (self.whitening[..., part].mT.contiguous() for part in (slice(half), slice(half, None)))
        halves = times_transposed(away[..., :half], first[..., :half]), times_transposed(away, last)
        return tuple(each.unflatten(1, (-1, pooled.shape[0])).flatten(0, 1) for each in halves)

    def distances_to(self, chosen: Tensor, seen: Tensor) -> Tensor:
        """Return the distances to q chosen Gaussians, without a unit: ``(q, k, B, F)`` -> ``(q, k, B)``."""
        white = (seen - self.mean[chosen][:, None, None]).flatten(1, 2) @ self.whitening[chosen]
        return torch.linalg.vector_norm(white, dim=-1).view(seen.shape[:-1])

    def _nearest(self, pooled: Tensor, grid: Grid) -> Tensor:
        """Whiten patches by the Gaussians that `Nearby` chooses: ``(B, pools, F)`` -> same."""
        nearby = Nearby.of(pooled_grid(grid), pooled.device)
        if nearby.seen.shape[1] == 1:
            return self._white(pooled)
        if torch.compiler.is_exporting():  # a graph takes batches of any length, so they cannot be split here
            return self._nearest_of(pooled, nearby)
        pictures = -(-FEWEST_ROWS // nearby.seen.shape[1])
        return torch.cat([self._nearest_of(_padded(part, pictures), nearby)[: len(part)] for part in _split(pooled)])

    def _nearest_of(self, pooled: Tensor, nearby: Nearby) -> Tensor:
        if torch.compiler.is_exporting():
            white = self._halves_around(pooled, nearby)
            lengths = torch.stack([(part * part).sum(-1) for part in white]).sum(0).sqrt()
        else:
            white = (self._around(pooled, nearby).flatten(0, 1),)  # (pools * k, B, F)
            lengths = torch.linalg.vector_norm(white[0], dim=-1)
        row = nearby.row.gather(1, nearby.closest(lengths[nearby.row])[:, 0])  # (pools, B)
        pictures = torch.arange(pooled.shape[0], device=row.device)
        return torch.cat([part[row, pictures] for part in white], dim=-1).transpose(0, 1)

    def distances(self, pooled: Tensor, grid: Grid) -> Tensor:
        """Return the distances without a unit: ``(B, pools, F)`` -> ``(B, pools)``."""
        return torch.linalg.vector_norm(self._nearest(pooled, grid), dim=-1)

    def _left_out(self, pooled: Tensor, moments: Moments, grid: Grid) -> Tensor:
        """Return the distances that learned pictures would have if they had not been learned, in closed form.

        A picture is taken out of the covariance of each place (Sherman & Morrison 1950), and before that, with all of
        its places, out of their mean. There all places are taken to have the whitening of their own.
        """
        count = moments.pictures
        if count < 3:
            return self.distances(pooled, grid)
        nearby = Nearby.of(pooled_grid(grid), pooled.device)
        _, scale = _target(moments.scatter)
        removed = count / (count - 1) ** 2  # (x - m)(x - m)' / (n - 1), with the mean m of the others
        weights = (moments.shrinkage * removed / len(scale) * scale[..., 0]).sqrt()
        weight, fewer = (1 - moments.shrinkage) * removed, (count - 2) / (count - 1)
        found = []
        for part in _split(pooled):
            around = self._around(part, nearby)  # (pools, k, b, F)
            own = around[:, 0].clone()
            squares = torch.stack([self._without_target(white, weights) for white in own.unbind(1)], dim=1)
            by_own = fewer * (count / (count - 1)) ** 2 * squares / (1 - weight * squares).clamp_min(LEAST_LEFT)
            # The Gaussians around have learned the picture too, at their own places.
            around += own[:, None] / (count - 1)
            along = (around * own[:, None]).sum(-1)
            left = (1 - weight * own.square().sum(-1)).clamp_min(LEAST_LEFT)[:, None]
            by_all = fewer * (around.square().sum(-1) + weight * along.square() / left)  # (pools, k, b)
            by_all[:, 0] = by_own
            distances = by_all.flatten(0, 1)[nearby.row].sqrt()
            found.append(distances.gather(1, nearby.closest(distances))[:, 0].mT)
        return torch.cat(found)

    @staticmethod
    def _without_target(white: Tensor, weights: Tensor) -> Tensor:
        """Return the squared distances of one learned picture ``(pools, F)`` if the target did not have it."""
        rows = weights * white
        values, vectors = eigh(rows.mT @ rows)
        left = (1 - values).clamp_min(LEAST_LEFT).to(white)
        return ((white @ vectors.to(white)).square() / left).sum(1)

    def _solve(self, moments: Moments) -> None:
        self.mean = moments.mean
        self.whitening = torch.zeros_like(moments.scatter)
        divisor = max(moments.pictures - 1, 1)
        target, scale = _target(moments.scatter)
        identity = torch.eye(len(target), dtype=target.dtype)
        for places in _parts(moments.scatter):
            covariance = torch.lerp(moments.scatter[places], scale[places] * target, moments.shrinkage) / divisor
            changed = _changed(moments.changes, moments.scatter, places)
            covariance += torch.lerp(changed, moments.everywhere, EVERYWHERE)
            factor = torch.linalg.cholesky(covariance.cpu() + RIDGE * identity)  # not implemented on every device
            inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
            self.whitening[places] = inverse.mT.to(covariance)


def _padded(pooled: Tensor, pictures: int) -> Tensor:
    """Repeat the last of fewer pictures ``(B, pools, F)``."""
    missing = pictures - len(pooled)
    return torch.cat([pooled, pooled[-1:].expand(missing, -1, -1)]) if 0 < missing < pictures else pooled


def pool(patches: Tensor, grid: Grid) -> Tensor:
    """Average over `POOLED` x `POOLED` places, fewer at the border: ``(B, h * w, F)`` -> ``(B, pools, F)``."""
    maps = patches.mT.unflatten(2, grid)
    return avg_pool2d(maps, POOLED, ceil_mode=True, count_include_pad=False).flatten(2).mT


def pooled_inside(inside: Tensor, grid: Grid, *, all_of_them: bool = False) -> Tensor:
    """Return which Gaussians have places, or only places, that are inside: ``(B, h * w)`` -> bool ``(B, pools)``."""
    share = pool(inside[..., None].to(torch.get_default_dtype()), grid)[..., 0]
    return share > 0.999 if all_of_them else share > 0


def _without(moments: Moments, picture: Tensor) -> Moments:
    """Return the moments without one picture ``(pools, F)``."""
    count, away = moments.pictures, picture - moments.mean
    apart = (away * (count / (count - 1)) ** 0.5)[None]
    scatter = torch.cat([moments.scatter[places] - _scatter(apart[:, places]) for places in _parts(moments.scatter)])
    return moments._replace(pictures=count - 1, mean=moments.mean - away / (count - 1), scatter=scatter)


def _scatter(rows: Tensor) -> Tensor:
    """``(n, pools, F)`` -> ``(pools, F, F)``."""
    rows = rows.transpose(0, 1)
    return rows.mT @ rows


def _changed(changes: list[Tensor], scatter: Tensor, places: slice) -> Tensor:
    """Return the covariances of changes at p places, summed over kinds: ``(p, F, F)``, the type of `scatter`."""
    found = torch.zeros_like(scatter[places])
    for each in changes:
        found += _scatter(in_full(each[:, places])) / max(len(each), 1)
    return found


def _parts(scatter: Tensor) -> Iterator[slice]:
    """Yield the places ``(pools, ...)`` in parts."""
    return (slice(start, start + PLACES_AT_ONCE) for start in range(0, len(scatter), PLACES_AT_ONCE))


def _split(pooled: Tensor) -> tuple[Tensor, ...]:
    """Split pictures ``(n, pools, F)`` into parts of which what all Gaussians see around them takes little memory."""
    return pooled.split(max(POOLS_AROUND // pooled.shape[1], 1))


def _target(scatter: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over all places, ``(F, F)``, and its scales to the variance at each place, ``(pools, 1, 1)``."""
    variance = scatter.diagonal(dim1=1, dim2=2).mean(1)
    scale = variance / variance.mean().clamp_min(torch.finfo(variance.dtype).tiny)
    return scatter.mean(0), scale[:, None, None]


def _shrinkage(centred: Tensor, scatter: Tensor) -> float:
    """Return how far the covariances of ``(n, pools, F)`` are moved to their target."""
    count = len(centred)
    if count < 2:
        return 1.0
    target, scale = _target(scatter)
    size = apart = 0.0
    for places in _parts(scatter):
        size += float(scatter[places].square().sum())
        apart += float((scatter[places] - scale[places] * target).square().sum())
    size, apart = size / (count - 1) ** 2, apart / (count - 1) ** 2
    lengths = torch.cat([part.square().sum(2) for part in centred.split(PICTURES_AT_ONCE)])
    error = (float(lengths.square().sum()) / count - size) / count
    return min(max(error / max(apart, 1e-12), 0.0), 1.0) ** 2
