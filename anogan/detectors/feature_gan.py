"""FeatureGAN: adversarial denoising of patches of a pretrained network's feature maps."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples, TensorSamples
from ..data.spec import SampleSpec
from ..engine.memory import return_freed_memory
from ..engine.module import GANModule, LeftOut, Prediction
from ..engine.validation import MONITOR_ROWS
from ..nn.backbone import Backbone
from ..nn.frozen import NETWORKS
from ..parameters import at_least, between, one_of, param
from ..scoring.alignment import HELD_OUT, TOLERANCE, moved
from ..scoring.branches import changed_if
from ..scoring.detail import blurred, compressed
from ..scoring.feature_distance import side_by_side
from ..scoring.framing import SATURATED_SHARES, Framed, Framing, Lit, shifted, turned
from ..scoring.left_out import IMAGES_AT_ONCE, learned_without, left_out_of_memory
from ..scoring.light import overexposed, relit
from ..scoring.offset import FEWEST_PICTURES, Offset
from ..scoring.patch_memory import Grid, PatchMemoryBank, in_full
from ..scoring.patch_units import PatchUnits
from ..scoring.patches import (
    MOST_SAMPLES,
    WHITENED_AT_ONCE,
    WhitenedPatches,
    at_once,
    held_in_memory,
    most_unusual,
    sharpened,
)
from ..scoring.place_gaussian import FEW_PICTURES, PlaceGaussian, pool, pooled_inside
from ..scoring.principal import Projection
from ..scoring.tolerance import Levels, moved_depths
from ..seeding import randperm
from .base import Detector
from .denoising import DenoisingModule

MOST_PATCHES = 2**18  # that R and G are trained on
PROJECTED_PATCHES = 2**14  # patches that the principal components are learned from
BANDWIDTH = 0.07  # of whitened patches, which spread over one: levels from 0.1 to 2
FEWEST_LEFT_OUT = 3  # training samples of which one is left out at a time
COPIED_SAMPLES = 64  # whose copies that are overexposed or shifted show what does not count there
FEWEST_COPIED = 32  # of larger ones
PLACES = 24**2  # Gaussians of a sample of 384x384 pixels: larger ones have more, and are copied less often
GAUSSIAN_SHARE = 0.9  # of the Gaussians in a squared score of a patch
MOST_FARTHER = 1.0  # by how much the distance to the memory bank may exceed that to the Gaussians, in their units
FEATURE_SHARE = 0.25  # share of R's features in a squared distance, relative to the whitened patch


class Change(NamedTuple):
    """A change of good samples that does not count.

    Attributes
    ----------
    copy : callable
        ``(B, C, H, W)`` in [-1, 1], number of the first one -> ``(B, C, H, W)``.
    share : float
        Of its differences' covariance in that of the Gaussians.
    samples : int
        How many of 384x384 pixels are copied.
    """

    copy: Callable[[Tensor, int], Tensor]
    share: float
    samples: int


CHANGES = Change(relit, 1.0, 64), Change(turned, 0.1, 256), Change(compressed, 0.1, 128), Change(blurred, 0.03, 64)


class ScoredPatches(NamedTuple):
    """The patches of B samples.

    Attributes
    ----------
    distances : (B, h * w) tensor
        Score of each patch; zero for patches that are not inside.
    inside : (B, h * w) bool tensor
        Which patches were seen and belong to the region of interest.
    white : (B, h * w, F) tensor
    grid : (h, w)
    shifts : (B, 2) int64 tensor
        By how many pixels each picture was moved up and left.
    """

    distances: Tensor
    inside: Tensor
    white: Tensor
    grid: Grid
    shifts: Tensor


class Extracted(NamedTuple):
    """The patches of n samples, before they are whitened.

    Attributes
    ----------
    patches : (n, h * w, F) tensor
    grid : (h, w)
    inside : (n, h * w) bool tensor
        See `ScoredPatches`.
    levels : Levels
        Of the Gaussians.
    """

    patches: Tensor
    grid: Grid
    inside: Tensor
    levels: Levels


class FeatureGANModule(DenoisingModule):
    """Denoising of whitened patches u, and their distance to the normal patches at the same place."""

    joint = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        features: str,
        latent_dim: int,
        adversarial_share: float,
        level_weight: float,
        projection: Projection,
        memory_bank: PatchMemoryBank,
    ) -> None:
        extractor = backbone.geometry.patches(features)
        super().__init__(
            backbone.of(SampleSpec((extractor.features,)), width=backbone.patch_width),
            latent_dim=latent_dim,
            adversarial_share=adversarial_share,
            level_weight=level_weight,
            jitter=0.0,
        )
        self.framing = Framing() if backbone.geometry.has_patches else None
        self.at_once = at_once(backbone.spec.shape)
        self.patches = WhitenedPatches(extractor)
        self.projection = projection
        self.memory_bank = memory_bank
        self.gaussian = PlaceGaussian()
        self.offset = Offset()
        self.memory_units, self.gaussian_units = PatchUnits(), PatchUnits()
        self.set_bandwidth(BANDWIDTH)
        self._normal: Extracted | None = None  # of the normal samples, during training only

    @property
    def _weight(self) -> Tensor:
        return next(self.critic.parameters())

    @property
    def _held_dtype(self) -> torch.dtype:
        """The type of the patches in memory: features of pictures, which are small numbers, take half of it."""
        half = self.framing is not None and self._weight.dtype == torch.float32
        return torch.float16 if half else self._weight.dtype

    @torch.no_grad()
    def before_training(self, normal: Samples) -> Samples:
        """Extract all patches once, learn what is usual at each place, and return whitened patches to train on."""
        if self.framing is not None:
            self.framing.fit(self._batches(normal))
            return_freed_memory()
        patches, grid, *_ = self._normal = self._extract(normal)
        chosen = self._weight.new_empty(min(patches[..., 0].numel(), MOST_PATCHES), patches.shape[-1])
        stop = 0
        for part in self.patches.fit(patches, grid):
            rows = randperm(part[..., 0].numel())[: MOST_PATCHES * len(part) // len(patches)]
            start, stop = stop, stop + len(rows)
            chosen[start:stop] = part.flatten(0, 1)[rows]
            del part  # before the next one is copied
            return_freed_memory()
        return TensorSamples(chosen[:stop])

    @torch.no_grad()
    def as_trained_on(self, held_out: Samples) -> Samples:
        white = self.patches.whiten(*self._extract(held_out)[:2]).flatten(0, 1)
        some = randperm(len(white))[:MONITOR_ROWS]  # a validation check takes the first ones
        return TensorSamples(in_full(white[some]))

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        patches, grid, inside, levels = self._normal or self._extract(normal)
        self._normal = None
        return_freed_memory()
        pooled = self._pooled(patches, grid)
        few = patches.clone() if FEWEST_LEFT_OUT <= len(patches) < FEW_PICTURES else None
        white = self.patches.whiten(patches, grid)  # in place, since patches fill a large part of the memory
        some = in_full(white.flatten(0, 1)[randperm(white[..., 0].numel())[:PROJECTED_PATCHES]])
        square = float(some.square().sum(-1).mean()) * FEATURE_SHARE
        self.projection.fit(self.features(some), square)
        return_freed_memory()
        images = self.memory_bank.fit(white, grid, self.embed)
        nearest = pooled.new_empty(0)
        if len(white) >= FEW_PICTURES:
            nearest = left_out_of_memory(self.patches.whitening, self.memory_bank, self.embed, white, grid, images)
        elif few is None:
            nearest = torch.cat([self._memory_distances(in_full(part), grid) for part in white.split(IMAGES_AT_ONCE)])
        del patches, white, some
        changes = [] if self.framing is None else self._changes(normal, pooled, inside, grid)
        self.gaussian.fit(pooled, changes)
        if few is None:
            of_place = self.gaussian.left_out(pooled, grid)
        else:
            nearest, of_place = learned_without(self.memory_bank, self.embed, few, grid, images, pooled, changes)
        self.memory_units.fit(nearest[inside])
        self.gaussian_units.fit(of_place[pooled_inside(inside, grid)])
        if self.framing is not None:
            self._fit_overexposed(normal, pooled, inside, grid)
            # A mask stays where it is when what it shows has moved.
            if not self.framing.alignment.is_fitted and inside.all() and len(pooled) >= FEWEST_PICTURES:
                self._fit_offset(normal, pooled, of_place, changes, grid)
            if self.framing.alignment.is_fitted or self.offset.is_fitted:
                self._fit_moved(normal, pooled, grid)
            return_freed_memory()
        if len(pooled) >= FEWEST_LEFT_OUT:
            self.gaussian.discount(of_place, pooled, levels, grid)
            discounted = self.gaussian.discounted(levels, grid)
            distances = self._fused(nearest, self.gaussian.at_places(of_place, inside, grid), discounted)
            distances = sharpened(distances, inside, grid)
            peaks = distances.new_empty(0) if self.framing is None else self._peaks(distances, grid, normal)
            self.left_out = LeftOut(most_unusual(distances, inside)[None], peaks)

    def _changes(self, normal: Samples, pooled: Tensor, inside: Tensor, grid: Grid) -> list[Tensor]:
        """Return how each of `CHANGES` alters what Gaussians are learned from; see `PlaceGaussian.fit`."""
        return [self._differences(change, normal, pooled, inside, grid) for change in CHANGES]

    def _differences(self, change: Change, normal: Samples, pooled: Tensor, inside: Tensor, grid: Grid) -> Tensor:
        """Return how a change alters the first samples: ``(m, pools, F)``, multiplied by the root of its share.

        What is not inside, of the samples or of their copies, is unchanged.
        """
        most = max(change.samples * PLACES // pooled.shape[1], 1)
        differences = torch.empty_like(pooled[:most], dtype=self._held_dtype)
        limits = torch.finfo(differences.dtype)

        def learn(batch: Tensor, rows: slice) -> None:
            framed = self._framed(change.copy(batch, rows.start))
            both = pooled_inside(inside[rows] & framed.patches_inside(grid), grid, all_of_them=True)
            found = self._pooled(*self.patches.raw(framed.pictures)) - pooled[rows]
            differences[rows] = torch.where(both[..., None], found, 0.0).clamp(limits.min, limits.max)

        self._of_batches(learn, normal.subset(np.arange(len(differences))))
        return differences.mul_(change.share**0.5)

    @staticmethod
    def _copied(pooled: Tensor) -> int:
        """Return how many samples are overexposed or shifted, fewer of large ones, whose copies fill the memory."""
        return min(max(COPIED_SAMPLES * PLACES // pooled.shape[1], FEWEST_COPIED), COPIED_SAMPLES)

    def _fit_overexposed(self, normal: Samples, pooled: Tensor, inside: Tensor, grid: Grid) -> None:
        """Learn what overexposure changes where more is saturated than in good pictures."""
        originals = pooled[: self._copied(pooled)]
        copies = torch.empty_like(originals)
        levels = torch.empty(copies.shape[:2], dtype=torch.int64, device=pooled.device)

        def learn(batch: Tensor, rows: slice) -> None:
            framed = self._framed(overexposed(batch, rows.start))
            both = pooled_inside(inside[rows] & framed.patches_inside(grid), grid, all_of_them=True)
            copies[rows] = self._pooled(*self.patches.raw(framed.pictures))
            levels[rows] = framed.overexposure(grid) * both

        self._of_batches(learn, normal.subset(np.arange(len(originals))))
        self.gaussian.fit_overexposed(originals, copies, levels, len(SATURATED_SHARES))

    def _fit_offset(self, normal: Samples, pooled: Tensor, of_place: Tensor, changes: list[Tensor], grid: Grid) -> None:
        """Learn whether Gaussians find how far copies of samples that they have not learned are shifted."""
        compared = self.offset.compared(grid).to(pooled.device)
        if not len(compared):
            return
        numbers = torch.arange(len(pooled), device=pooled.device)
        learned = numbers[numbers % HELD_OUT != 0]
        gaussian = PlaceGaussian()
        gaussian.fit(pooled[learned[:, None], compared], [each[:, compared] for each in changes])
        chosen = np.arange(0, len(pooled), HELD_OUT)[: self._copied(pooled)]
        copies = pooled.new_empty(len(chosen), *pooled.shape[1:])
        known = copies.new_empty(len(copies), 2)

        def learn(batch: Tensor, rows: slice) -> None:
            copied, by = shifted(batch, rows.start)
            copies[rows] = self._pooled(*self.patches.raw(self._framed(copied).pictures))
            known[rows] = by / batch.new_tensor(batch.shape[-2:])

        self._of_batches(learn, normal.subset(chosen))
        self.offset.fit(gaussian, copies, known, grid)
        if self.offset.is_fitted:
            self.offset.fit_usual(self.gaussian, pooled[chosen], of_place, grid)

    def _fit_moved(self, normal: Samples, pooled: Tensor, grid: Grid) -> None:
        """Learn from shifted copies of samples that are no templates, so that they are aligned like new ones.

        Those that `Offset` aligns are found a little better than new ones, since the Gaussians have learned them.
        """
        chosen = np.arange(0, len(pooled), HELD_OUT)[: self._copied(pooled)]
        originals = pooled[chosen]
        copies, shares = torch.empty_like(originals), originals.new_empty(len(originals), 2)

        def learn(batch: Tensor, rows: slice) -> None:
            copied, by = shifted(batch, rows.start)
            framed, patches, _ = self._aligned(copied)
            errors = (framed.shifts - by) / batch.new_tensor(batch.shape[-2:])
            copies[rows] = self._pooled(patches, grid)
            shares[rows] = framed.shares * (errors.abs() <= TOLERANCE).all(1, keepdim=True)

        self._of_batches(learn, normal.subset(chosen))
        self.gaussian.fit_moved(originals, copies, moved_depths(shares, grid), grid)

    @torch.no_grad()
    def after_calibration(self, held_out: Samples) -> None:
        patches, grid, inside, _ = self._extract(held_out)
        self.gaussian.learn_more(self._pooled(patches, grid), pooled_inside(inside, grid), grid)

    def _pooled(self, patches: Tensor, grid: Grid) -> Tensor:
        """Return what Gaussians are learned from: ``(n, h * w, F)`` -> ``(n, pools, F)``."""
        if torch.compiler.is_exporting():
            return self.patches.whitening.standard(pool(patches, grid))
        # Pooling copies what it pools, and all patches fill a large part of the memory.
        parts = patches.split(WHITENED_AT_ONCE)
        return torch.cat([self.patches.whitening.standard(pool(in_full(part), grid)) for part in parts])

    def features(self, patches: Tensor) -> Tensor:
        """Return R's last hidden layers of all members: ``(B, F)`` -> ``(B, K * width)``."""
        return side_by_side(self.critic.features(patches.expand(self.members, *patches.shape)))

    def embed(self, patches: Tensor) -> Tensor:
        """Concatenate whitened patches and R's features of them: ``(B, F)`` -> ``(B, E)``."""
        return torch.cat([patches, self.projection(self.features(patches))], dim=1)

    def scored(self, x: Tensor) -> ScoredPatches:
        """Return the patches of samples ``(B, *shape)`` with their scores."""
        framed, patches, grid = self._aligned(x)
        white = self.patches.whitening(patches, grid)
        inside = framed.patches_inside(grid)
        nearest = self._memory_distances(white, grid)
        levels = framed.levels(grid)
        of_place = self.gaussian(self._pooled(patches, grid), inside, grid, levels)
        distances = self._fused(nearest, of_place, self.gaussian.discounted(levels, grid))
        return ScoredPatches(sharpened(distances, inside, grid), inside, white, grid, framed.shifts)

    def _fused(self, nearest: Tensor, of_place: Tensor, discounted: Tensor) -> Tensor:
        """Combine the two distances of patches, ``(B, h * w)`` each.

        Where a change is discounted, the memory bank has no patches of such pictures. The same holds for other changes
        of pictures, which only the Gaussians have learned, so that it adds to their distance a limited amount.
        """
        nearest, of_place = self.memory_units(nearest), self.gaussian_units(of_place)
        if self.framing is not None:
            nearest = torch.minimum(nearest, of_place + MOST_FARTHER)
        as_usual = (of_place - self.gaussian_units.typical + self.memory_units.typical).clamp_min(0)
        nearest = torch.where(discounted, as_usual, nearest)
        return torch.lerp(nearest.square(), of_place.square(), GAUSSIAN_SHARE).sqrt()

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        found = self.scored(x[0])  # all members receive the same samples
        score = most_unusual(found.distances, found.inside).unsqueeze(0)
        return Prediction(score, self.spread(found, x) if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def anomaly_map(self, x: Tensor) -> Tensor:
        return self.spread(self.scored(x[0]), x)

    def spread(self, found: ScoredPatches, x: Tensor) -> Tensor:
        """Return the patches' distances at the size of the samples x: ``(K, B, *shape)``."""
        maps = self.patches.spread(found.distances, found.white, found.grid, tuple(x.shape[2:]))
        maps = changed_if(found.shifts.any(), lambda aligned: moved(aligned, -found.shifts, 0.0), maps)
        return maps.expand_as(x)

    def _memory_distances(self, white: Tensor, grid: Grid) -> Tensor:
        embedded = self.embed(white.flatten(0, 1)).unflatten(0, white.shape[:2])
        return self.memory_bank(embedded, grid)

    def _peaks(self, distances: Tensor, grid: Grid, normal: Samples) -> Tensor:
        """Return the greatest value, summed over channels, of each picture's map: ``(n, h * w)`` -> ``(n,)``."""
        shape = tuple(normal.batch(np.arange(1)).shape[1:])
        found = []
        for part in distances.split(self.at_once):
            # Maps of pictures do not depend on the patches themselves.
            maps = self.patches.spread(part, part[..., None], grid, shape)
            found.append(maps.sum(1).flatten(1).amax(1))
        return torch.cat(found)

    def _batches(self, samples: Samples) -> Iterator[Tensor]:
        """Yield the first `MOST_SAMPLES` samples in batches, on the networks' device."""
        rows = np.arange(min(len(samples), MOST_SAMPLES))
        for batch in samples.batches(np.array_split(rows, -(-len(rows) // self.at_once))):
            yield batch.to(self._weight)

    def _of_batches(self, learn: Callable[[Tensor, slice], None], samples: Samples) -> None:
        """Call with each batch of samples and their numbers, which frees what is computed of one before the next."""
        return_freed_memory()
        start = 0
        for batch in self._batches(samples):
            learn(batch, slice(start, start + len(batch)))
            start += len(batch)
        return_freed_memory()

    def _framed(self, x: Tensor) -> Framed:
        return Framed.whole(x) if self.framing is None else self.framing(x)

    def _aligned(self, x: Tensor) -> tuple[Framed, Tensor, Grid]:
        """Return framed samples and their raw patches ``(B, h * w, F)``, after shifts that `Offset` finds were undone.

        What is shifted passes the network again, since features also depend on how far away the border is.
        """
        if self.framing is None or not self.offset.is_fitted:
            framed = self._framed(x)
            return framed, *self.patches.raw(framed.pictures)
        lit = self.framing.lit(x)
        framed = self.framing.aligned(lit)
        patches, grid = self.patches.raw(framed.pictures)
        inside = pooled_inside(framed.patches_inside(grid), grid)
        shares = self.offset(self.gaussian, self._pooled(patches, grid), inside, grid)
        if torch.compiler.is_exporting():
            found: tuple[Tensor, ...] = (*framed, patches)
            *fields, patches = changed_if(shares.any(), lambda _: self._moved_back(lit, shares), found)
            return Framed(*fields), patches, grid
        rows = torch.where(shares.any(1))[0]
        if len(rows):
            again = self.framing.aligned(lit.rows(rows), shares[rows])
            framed = Framed(*(all_.index_put((rows,), some) for all_, some in zip(framed, again, strict=True)))
            patches[rows], _ = self.patches.raw(again.pictures)
        return framed, patches, grid

    def _moved_back(self, lit: Lit, shares: Tensor) -> tuple[Tensor, ...]:
        """Return what `Framed` holds of samples whose shifts are known, and their raw patches."""
        assert self.framing is not None
        framed = self.framing.aligned(lit, shares)
        return *framed, self.patches.raw(framed.pictures)[0]

    def _extract(self, samples: Samples) -> Extracted:
        """Return the patches of the first samples. Those of other samples stand in for those outside of a region."""
        count = min(len(samples), MOST_SAMPLES)
        patches = inside = torch.empty(0)
        levels, start = [], 0
        for batch in self._batches(samples):
            framed = self._framed(batch)
            part, grid = self.patches.raw(framed.pictures)
            if not start:  # all at once, since parts and their concatenation would fill the memory twice
                count = held_in_memory(count, part[0].numel())
                patches = part.new_empty(count, *part.shape[1:], dtype=self._held_dtype)
                inside = torch.empty(count, part.shape[1], dtype=torch.bool, device=part.device)
            rows = slice(start, min(start + len(part), count))
            seen = rows.stop - start
            patches[rows], inside[rows] = part[:seen], framed.patches_inside(grid)[:seen]
            levels.append(framed.levels(grid).rows(slice(seen)))
            start = rows.stop
            del batch, framed, part  # before the next ones are computed
            if start == count:
                break
        if not inside.all() and not (self.framing is not None and self.framing.alignment.is_fitted):
            # Samples that show a place, one after the other, stand in for those that do not, so that patches there
            # vary as much as they do among the former. What no sample shows looks the same in new ones.
            shown_first = inside.long().argsort(dim=0, descending=True, stable=True)
            numbers = torch.arange(len(inside), device=inside.device)[:, None]
            donors = shown_first.gather(0, numbers % inside.sum(0).clamp_min(1))
            unseen, places = torch.where(~inside & inside.any(0))
            patches[unseen, places] = patches[donors[unseen, places], places]
        return_freed_memory()
        return Extracted(patches, grid, inside, Levels.of(levels))


class FeatureGAN(Detector):
    r"""Adversarial denoising of a pretrained network's patches; scores their distance to normal ones at their place.

    Score: mean over the most unusual 1 % of the patches u (at least 4) of a sharpened map of a root mean square of two
    distances: n(u), to the nearest normal patch of the places around in the embedding e, and g(u), the Mahalanobis
    distance to the Gaussian of the place,

    .. math:: d(u)^2 = 0.1 \min(n(u), g(u) + 1)^2 + 0.9 g(u)^2.

    Either is in units of how far the 0.99 quantile of normal patches lies above their median. Of plain vectors n(u)
    counts in full: copies of pictures, which the Gaussians alone have learned, are why it is limited.

    Notes
    -----
    *Idea.* GANs of pixels fail on real defects, since a change of light weighs more in pixels than a scratch. Features
    that a network learned from millions of images represent similarity better. Here a GAN is trained in that space.

    *Light and position.* The brightness of a picture is scaled back into the range of the good ones. Where more is
    saturated than in good pictures, and their brightness at that place would be in this picture's light, differences
    between good pictures and copies that are overexposed by up to 50 % are discounted, and only the Gaussians are
    asked. White spots that cover up to 1 % of a picture count, and so does a picture that is all white; a larger white
    defect among highlights counts less. Lines beside its border that repeat each other were filled in and do not count,
    up to 15 % of its side, unless they have one colour or good pictures have such lines. A picture is moved to the
    position of the good ones if phase correlation with the mean good picture, or with the most similar of them for
    parts at any angle, finds known shifts of other good ones. Where it does not, the Gaussians farther away that suit
    the picture best do, if they find those of good pictures that they have not learned: textures show no part, but may
    depend on the place. What lies beyond the border then does not count. Near it, where features depend on what fills
    the rest, only the Gaussians are asked, and differences between good pictures and shifted copies that were moved
    back are discounted. Turns are not undone, but what copies that are turned by up to 10 degrees change counts less,
    as does what JPEG compression and blur change.

    *Patches.* The frozen network's maps of stride 8 and 16 give one vector for each place of the finer grid. It is
    whitened with the mean of its place and the covariance of its cell of 3x3 places, u = S^(-1/2) (f - m), because what
    is normal depends on the position within a part.

    *Training.* That of `DenoisingGAN`, among the patches u of all places: the generator chooses near-normal patches
    u + σδ, and the critic R predicts how much was added, and what. σ ranges from 0.1 to 2.

    *Score.* Each patch is compared with the normal ones of its cell and the ring around it (256 of them, a greedy
    k-center coreset), in u concatenated with the 64 leading principal components of R's features, which have a quarter
    of u's weight in squared distances, and with one of nine Gaussians of 2x2 places each: its own and those 16 of 384
    pixels away, since nothing lies exactly in its place. It is the one at the offset that suits the 5x5 Gaussians
    around best, since a defect alone would find one that it happens to suit. Their covariances are shrunk towards the
    mean of all places, the more the fewer the pictures, and have added to them that of the changes that brighter and
    darker copies of good pictures show, a tenth of that of turned copies and of compressed ones, and 3 % of that of
    blurred ones. The map of the distances is sharpened, since features are averages over areas. ``explain`` is that map
    at the image's size, and for plain vectors the absolute values of u.

    *Threshold.* The images that are held out set it, and training images as if each had been left out of whitening,
    Gaussians (both in closed form) and memory bank; with fewer than 128, the first two are learned again without an
    eighth of them. Otherwise it would depend on which few images were held out by chance. The networks and the
    alignment have seen training images, so that the target false-alarm rate is kept approximately. Held-out images join
    the Gaussians afterwards. Of images in tiles one tile at a time is left out, not all of an image.

    *Cost.* Scoring an image takes one pass of the frozen network, two if a texture is moved back, and distances to 256
    patches for each place. The model file holds the whitening, the Gaussians and the memory bank: 160 MB for 384x384
    pixels. The first 512 training samples (in random order) are used, or as many as 0.4 GB of features hold: 130 of
    768x768 pixels. The command line fitted 8 pictures of 20 megapixels in tiles of 768 pixels with 1.5 GB of memory (20
    steps).

    With a float `contamination` all images are trained on, and that share of them lies above the threshold, as if each
    had been left out. So images that are unusual but good can be learned from without setting the threshold.

    *Limits.* Training images score lower than new ones, since the whitening and the memory bank were fitted to them. A
    threshold from fewer than 3 images is therefore unreliable for new ones. A texture that is defective in a large part
    may be taken for a shifted one, and is not inspected near the border then.

    References
    ----------
    The combination is this package's own. Defard: PaDiM, ICPR 2021, arXiv:2011.08785 (Gaussians of places). Roth:
    Towards total recall in industrial anomaly detection, CVPR 2022, arXiv:2106.08265 (nearest neighbours, coreset).
    Liu: SimpleNet, CVPR 2023, arXiv:2303.15140 (a critic of noised features). Tan, Le: EfficientNet, ICML 2019,
    arXiv:1905.11946.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import FeatureGAN
    >>> X = np.random.default_rng(0).uniform(size=(24, 1, 32, 32))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = FeatureGAN(steps=5, width=2, batch_size=32, target_fpr=0.2, random_state=0).fit(X)
    >>> detector.explain(X[:3]).shape
    (3, 1, 32, 32)
    """

    name = "feature_gan"
    image_size = 384
    uses_masks = True
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4, "memory_bank_size": 64}

    features: str = param(
        "efficientnet_lite2", one_of(*NETWORKS), help="Frozen network that extracts features of pictures."
    )
    latent_dim: int = param(32, at_least(1), help="Size of the noise z that the generator takes.")
    adversarial_share: float = param(
        0.5, between(0.0, 1.0), help="Share of the patches whose corruption the generator chooses."
    )
    level_weight: float = param(0.3, at_least(0.0), help="Weight of the level's loss.")
    embedding_dim: int = param(64, at_least(1), help="Principal components of the features that are compared.")
    memory_bank_size: int = param(
        256, at_least(1), help="Normal patches in the memory bank of each cell of 3x3 places."
    )
    batch_size: int = param(1024, at_least(1), help="Patches per training step.")
    patience: int = param(
        0, at_least(0), help="Validation checks without improvement after which training stops; 0: never."
    )

    def build(self, backbone: Backbone) -> GANModule:
        return FeatureGANModule(
            backbone,
            features=self.features,
            latent_dim=self.latent_dim,
            adversarial_share=self.adversarial_share,
            level_weight=self.level_weight,
            projection=Projection(self.embedding_dim),
            memory_bank=PatchMemoryBank(self.memory_bank_size),
        )
