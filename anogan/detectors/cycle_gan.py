"""CycleGAN: the change that turns a sample into a normal one, learned from a pool that nobody has labelled."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.samples import Samples, TensorSamples
from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import OBJECTIVES, Objective
from ..losses.distances import l1, l2_squared, mean_l1, mean_l2_squared
from ..nn.backbone import Backbone, critique_both
from ..parameters import at_least, between, one_of, param
from ..scoring.patch_memory import Grid
from ..scoring.patches import MOST_SAMPLES, WhitenedPatches, most_unusual
from .base import Detector

FEWEST_PATCHES, MOST_PATCHES = 2**10, 2**18  # of each kind that are trained on
FARTHEST = 128  # one in so many patches of the pool is played with, the least usual ones
PATCHES_IN_A_ROW = 4  # of a training batch, beside as many of the least usual ones
NOISE_DIM = 32  # of what F takes beside a patch


class CycleGame(GANModule):
    """G turns samples of the pool into normal ones, F the other way round; a critic for each kind."""

    game: ClassVar[Objective]

    def __init__(self, networks: Backbone, to_other: nn.Module, cycle_weight: float, identity_weight: float) -> None:
        super().__init__()
        self.to_normal = networks.translator()  # G
        self.to_other = to_other  # F
        self.critic_normal = networks.patch_critic()
        self.critic_other = networks.patch_critic()
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "cycle",
                (
                    Phase("critic", (self.critic_normal, self.critic_other), self.critic_loss),
                    Phase("generator", (self.to_normal, self.to_other), self.generator_loss),
                ),
                monitor=self.held_out_loss,
            ),
        )

    @abstractmethod
    def draw_other(self, x: Tensor) -> Tensor:
        """As many of the pool as x has."""

    def spoil(self, x: Tensor) -> Tensor:
        """F's work."""
        return self.to_other(x)

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Between what should be equal: ``(K,)``."""

    @abstractmethod
    def held_out_loss(self, x: Tensor) -> Tensor:
        """What early stopping watches: ``(K,)``."""

    def critic_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 1 for both directions, with another objective instead of logarithms (section 4)."""
        y = self.draw_other(x)
        with torch.no_grad():
            made_normal, made_other = self.to_normal(y), self.spoil(x)
        normal, translated = critique_both(self.critic_normal, x, made_normal)
        other, spoilt = critique_both(self.critic_other, y, made_other)
        return {
            "normal": self.game.critic(normal.logit.flatten(1), translated.logit.flatten(1)),
            "other": self.game.critic(other.logit.flatten(1), spoilt.logit.flatten(1)),
        }

    def generator_loss(self, x: Tensor) -> Terms:
        """Zhu 2017, eq. 3: both games, the cycle of normal samples (half of eq. 2), and section 5.2's identity loss."""
        y = self.draw_other(x)
        made_normal, made_other = self.to_normal(y), self.spoil(x)
        return {
            "normal": self.game.generator(self.critic_normal(made_normal).logit.flatten(1)),
            "other": self.game.generator(self.critic_other(made_other).logit.flatten(1)),
            "cycle": self.cycle_weight * self.distance(x, self.to_normal(made_other)),
            "identity": self.identity_weight * self.identity(x, y),
        }

    def identity(self, x: Tensor, y: Tensor) -> Tensor:
        """What is changed that is of the right kind already: ``(K,)``."""
        return self.distance(x, self.to_normal(x))


class SampleCycle(CycleGame):
    """The game among samples; the score is the change of the whole one."""

    game = OBJECTIVES["least_squares"]

    def __init__(
        self, backbone: Backbone, choices: int, cycle_weight: float, identity_weight: float, residual_share: float
    ) -> None:
        super().__init__(backbone, backbone.translator(), cycle_weight, identity_weight)
        self.synthetic_anomaly = backbone.synthetic_anomaly
        self.choices = choices
        self.residual_share = residual_share

    def draw_other(self, x: Tensor) -> Tensor:
        """As many samples as x has, those of some candidates that have the patch which looks least normal."""
        candidates = self.candidates(x)
        with torch.no_grad():
            belief = self.critic_normal(candidates).logit.amin(-1)
        least = belief.topk(x.shape[1], largest=False).indices  # (K, B)
        return candidates.gather(1, least.reshape(*least.shape, *[1] * (x.dim() - 2)).expand_as(x))

    def candidates(self, x: Tensor) -> Tensor:
        """Samples of the pool, or without one x itself, damaged: ``(K, choices * B, *shape)``."""
        if self.unlabeled is None:
            return self.synthetic_anomaly(x.repeat(1, self.choices, *[1] * (x.dim() - 2)))
        drawn = (torch.rand(self.choices * x.shape[1], dtype=torch.float64) * len(self.unlabeled)).long()
        y = self.unlabeled.batch(drawn.numpy()).to(x)
        return y.expand(len(x), *y.shape)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return mean_l1(a, b)

    def held_out_loss(self, x: Tensor) -> Tensor:
        return mean_l1(x, self.to_normal(self.synthetic_anomaly(x)))

    def identity(self, x: Tensor, y: Tensor) -> Tensor:
        return super().identity(x, y) + self.distance(y, self.to_other(y))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.to_normal(x)

    def score(self, x: Tensor) -> Tensor:
        changed = self.reconstruct(x)
        before, after = critique_both(self.critic_normal, x, changed)
        residual = l1(x, changed) / x[0, 0].numel()
        features = l2_squared(before.features, after.features) / before.features.shape[-1]
        return self.residual_share * residual + (1 - self.residual_share) * features

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        normal, translated = critique_both(self.critic_normal, x, self.to_normal(self.draw_other(x)))
        return normal.logit.mean(-1), translated.logit.mean(-1)


class PatchCycle(CycleGame):
    """The game among whitened patches of pictures; the score is the change of the patches that change most."""

    joint = True
    game = OBJECTIVES["hinge"]

    def __init__(self, backbone: Backbone, features: str, cycle_weight: float, identity_weight: float) -> None:
        extractor = backbone.patch_features(features)
        networks = backbone.patch_networks(extractor.features)
        super().__init__(networks, networks.corruptor(NOISE_DIM), cycle_weight, identity_weight)
        self.patches = WhitenedPatches(extractor)
        self.members = networks.members
        self.synthetic_anomaly = backbone.synthetic_anomaly
        self._far = self._other = torch.zeros(0)  # unusual patches of X and of the pool, while training lasts

    @torch.no_grad()
    def before_training(self, normal: Samples) -> Samples:
        """Which patches to play with: of both kinds the farthest from usual, and any others of the normal ones."""
        weight = next(self.to_normal.parameters())
        patches, grid = self.patches.extract(normal, weight)
        rows = torch.cat([part.flatten(0, 1) for part in self.patches.fit(patches, grid)])
        del patches
        self._far, others = _far_first(rows)
        if self.unlabeled is None:
            pool = self.patches.extract(normal, weight, lambda pictures: self.synthetic_anomaly(pictures[None])[0])
        else:
            # Of a long pool any samples, whatever its order is.
            some = np.linspace(0, len(self.unlabeled) - 1, min(len(self.unlabeled), MOST_SAMPLES)).astype(int)
            pool = self.patches.extract(self.unlabeled.subset(some), weight)
        self._other, _ = _far_first(self.patches.whiten(*pool).flatten(0, 1))
        return TensorSamples(_in_rows(others))

    @torch.no_grad()
    def as_trained_on(self, held_out: Samples) -> Samples:
        pool = self.patches.extract(held_out, next(self.to_normal.parameters()))
        rows = self.patches.whiten(*pool).flatten(0, 1)
        return TensorSamples(_in_rows(rows[torch.randperm(len(rows))]))  # a look takes the first ones

    def after_training(self, normal: Samples) -> None:
        self._far = self._other = torch.zeros(0)

    def critic_loss(self, x: Tensor) -> Terms:
        return super().critic_loss(self.with_far(x))

    def generator_loss(self, x: Tensor) -> Terms:
        return super().generator_loss(self.with_far(x))

    def with_far(self, x: Tensor) -> Tensor:
        """Rows of ordinary patches ``(K, B, r, F)`` and as many of the normal ones' farthest: ``(K, 2 B r, F)``."""
        x = x.flatten(1, 2)
        return torch.cat([x, _drawn(self._far, x)], dim=1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return mean_l2_squared(a, b)

    def held_out_loss(self, x: Tensor) -> Tensor:
        x = x.flatten(1, 2)
        return self.distance(x, self.to_normal(self.spoil(x)))

    def draw_other(self, x: Tensor) -> Tensor:
        """Any of the pool's farthest patches: ``(K, B, F)``."""
        return _drawn(self._other, x)

    def spoil(self, x: Tensor) -> Tensor:
        z = torch.randn(*x.shape[:2], NOISE_DIM, dtype=x.dtype, device=x.device)
        return x + self.to_other(x, z)

    def change(self, x: Tensor) -> tuple[Tensor, Grid]:
        """u - G(u) of samples ``(B, *shape)``, G being the mean of the members: ``(B, h * w, F)``, and (h, w)."""
        white, grid = self.patches(x)
        rows = white.flatten(0, 1)
        normal = self.to_normal(rows.expand(self.members, *rows.shape)).mean(0)
        return white - normal.view_as(white), grid

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        change, grid = self.change(x[0])  # all members see the same samples
        lengths = torch.linalg.vector_norm(change, dim=-1)
        score = most_unusual(lengths).unsqueeze(0)
        return Prediction(score, self.spread(lengths, change, grid, x) if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def anomaly_map(self, x: Tensor) -> Tensor:
        change, grid = self.change(x[0])
        return self.spread(torch.linalg.vector_norm(change, dim=-1), change, grid, x)

    def spread(self, lengths: Tensor, change: Tensor, grid: Grid, x: Tensor) -> Tensor:
        """The lengths of the patches' changes at the size of the samples x: ``(K, B, *shape)``."""
        return self.patches.spread(lengths, change, grid, tuple(x.shape[2:])).expand_as(x)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of patches, and of what G makes of them after F has spoilt them."""
        x = x.flatten(1, 2)
        normal, repaired = critique_both(self.critic_normal, x, self.to_normal(self.spoil(x)))
        return normal.logit.mean(-1), repaired.logit.mean(-1)


def _far_first(patches: Tensor) -> tuple[Tensor, Tensor]:
    """The longest of whitened patches ``(m, F)``, one in `FARTHEST`, and others of them in random order."""
    order = patches.square().sum(-1).argsort(descending=True, stable=True)
    far = min(max(len(order) // FARTHEST, FEWEST_PATCHES), len(order) // 2, MOST_PATCHES)
    others = order[far:][torch.randperm(len(order) - far)[:MOST_PATCHES]]
    return patches[order[:far]], patches[others]


def _drawn(patches: Tensor, like: Tensor) -> Tensor:
    """Any of some patches ``(m, F)``, as many as ``like (K, B, F)``, the same for each member."""
    chosen = (torch.rand(like.shape[1], dtype=torch.float64) * len(patches)).long()
    return patches[chosen.to(like.device)].expand_as(like)


def _in_rows(patches: Tensor) -> Tensor:
    """``(m, F)`` -> ``(m / r, r, F)``: a step needs more patches than a batch of samples has rows."""
    each = min(PATCHES_IN_A_ROW, len(patches))
    return patches[: len(patches) // each * each].unflatten(0, (-1, each))


class CycleGAN(Detector):
    """Translates samples into normal ones, learned from an unlabelled pool; scores the change needed.

    Score: of rows, and of pictures with ``features="pixels"``,
    ``0.9 |x - G(x)|_1 / n + 0.1 |f(x) - f(G(x))|^2 / n_f``; G translates to normal, f are the features of the critic of
    normal samples. Of pictures otherwise: mean of ``|u - G(u)|`` over the 1 % of the patches u (at least 4) that change
    most.

    Notes
    -----
    *Unlabelled set.* ``fit(X, X_unlabeled=...)`` takes a second set that nobody has labelled, such as returned parts or
    last month's production: mostly normal, some not. Since most of it is normal, G must leave most of what it
    sees alone, which the identity loss asks for; ``explain`` then shows the counterfactual difference.

    *Pictures.* In pixels the game does not find real defects: a critic of pixels hears light and texture before a
    crack. So the game is played among patches u of a pretrained network's feature maps (`FeatureGAN`), whitened by what
    is usual at their place. With u of normal pictures and v of the pool, C and D critics of normal and other patches
    (hinge losses), noise z, and F(u, z) = u + f(u, z)::

        C, D tell u from G(v), and v from F(u, z)
        min_G,F  -C(G(v)) - D(F(u, z)) + 10 |u - G(F(u, z))|^2 / d + 5 |u - G(u)|^2 / d

    ``explain`` is the length of u - G(u) at each place, averaged over 3x3 places and enlarged to the picture. There is
    no ``reconstruct``: patches of features are no picture. It takes ``features="pixels"``.

    *Most of a pool is normal*, and G would learn to do nothing. Only the least usual 128th of the patches v is played
    with (by |u|, their Mahalanobis distance), and half of the patches u are the least usual 128th of theirs: what the
    two ends differ in are the defects, while what is rare but normal is in both and must be left alone. In the game of
    rows and pixels, `choices` times as many samples are drawn as a batch needs, and those are used that have the patch
    which the critic of normal samples believes least.

    *Without a pool* synthetic anomalies take its place (`synthetic_anomaly`): in pictures a rectangle (each side 1/16
    to 1/2 of the picture's, drawn evenly by its logarithm) is replaced by a piece of another picture, of changed
    brightness; in vectors up to half of the columns take the values of another row.

    *Deviations from the paper*: the cycle of pool samples, |y - F(G(y))|, is left out, for F cannot know which normal
    sample was an anomaly before, and of what kind, so that with it G leaves everything alone; generators make a change
    that is added to the sample; spectral norm instead of instance norm in the critics; no history of generated
    samples; averaged weights. Among patches also: F takes noise, since there are many ways to be defective, and its
    identity loss is left out, which made it do nothing.

    *Cost.* A training step costs seven passes of generators, on `batch_size` samples or eight times as many patches.
    Pictures take one pass of the frozen network each, those of X and of the pool (at most 512 of each are looked at).

    *Limits.* A float `contamination` and the threshold of fewer than 10 pictures come from pictures that the whitening
    has seen, and say little about new ones. On magnetic tiles with 40 defective pictures in a pool of 397, `FeatureGAN`
    without any pool finds more, of cracks above all (benchmarks/results/pool.md).

    References
    ----------
    Zhu, Park, Isola, Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. ICCV
    2017, arXiv:1703.10593.
    """

    name = "cycle_gan"
    uses_unlabeled = True
    image_size = 256
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16}

    features: str = param(
        "efficientnet_lite0",
        one_of("efficientnet_lite0", "pixels"),
        help="Where pictures are translated: in the feature maps of this frozen network, or as they are.",
    )
    choices: int = param(
        4,
        at_least(1),
        help="Pool samples from which the least normal looking one is taken (not in feature maps).",
    )
    cycle_weight: float = param(10.0, at_least(0.0), help="Of the cycle's reconstruction loss.")
    identity_weight: float = param(5.0, at_least(0.0), help="Of what a generator changes in samples of its own kind.")
    residual_share: float = param(0.9, between(0.0, 1.0), help="Of the residual in the score (not in feature maps).")
    patience: int = param(0, at_least(0), help="Looks at held-out rows without improvement until it stops; 0: never.")

    def build(self, backbone: Backbone) -> GANModule:
        weights = (self.cycle_weight, self.identity_weight)
        if backbone.has_patches and self.features != "pixels":
            return PatchCycle(backbone, self.features, *weights)
        return SampleCycle(backbone, self.choices, *weights, self.residual_share)
