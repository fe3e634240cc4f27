"""What a detector may ask of a backbone, and the backbones by name."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..data.spec import SampleSpec
from ..errors import InputError

BACKBONES: dict[str, type["Backbone"]] = {}


class Critique(NamedTuple):
    """What a critic says of a batch: ``logit (K, B)``, higher = more real, and ``features (K, B, F)``.

    Features are the critic's last hidden layer.
    """

    logit: Tensor
    features: Tensor


class Restoration(NamedTuple):
    """What a denoising critic says of a batch of corrupted samples.

    ``noise (K, B, *shape)``: what was added, in units of its standard deviation; ``level (K, B, L)``: logits of how
    much was added; ``features (K, B, F)``: its last hidden layer.
    """

    noise: Tensor
    level: Tensor
    features: Tensor


class Decoder(nn.Module):
    """From a latent to a sample, in one or in two steps: ``x = decoder(z) = synthesis(mapping(z))``.

    What looks for the latent of a given sample does so among the w, which need not be distributed like z and are
    disentangled the better for it (Karras 2019, arXiv:1812.04948). Networks without a mapping have w = z.
    """

    def mapping(self, z: Tensor) -> Tensor:
        """``(K, B, latent_dim)`` -> w, the same shape."""
        return z

    def synthesis(self, w: Tensor) -> Tensor:
        """``(K, B, latent_dim)`` -> ``(K, B, *shape)``."""
        return self(w)

    def search_start(self, z: Tensor) -> Tensor:
        """Where the search for a w begins, given some z ``(K, 1, latent_dim)``: at its w."""
        return self.mapping(z)

    def confined(self, w: Tensor) -> Tensor:
        """The nearest w ``(K, B, latent_dim)`` that a search may visit; all of them, if there is no mapping."""
        return w


def critique_both(
    critic: nn.Module,
    a: Tensor,
    b: Tensor,
    context_a: Tensor | None = None,
    context_b: Tensor | None = None,
) -> tuple[Critique, Critique]:
    """A critic on two batches ``(K, B, ...)`` in one pass, which is cheaper than two."""
    joint = [torch.cat([a, b], dim=1)]  # (K, 2B, ...)
    if context_a is not None and context_b is not None:
        joint.append(torch.cat([context_a, context_b], dim=1))
    logit, features = critic(*joint)
    rows = a.shape[1]
    return Critique(logit[:, :rows], features[:, :rows]), Critique(logit[:, rows:], features[:, rows:])


class PatchFeatures(nn.Module, ABC):
    """Feature maps of samples, ``(B, *shape)`` -> ``(B, F, h, w)``, and the way back for explanations."""

    features: int
    """F."""

    @abstractmethod
    def spread(self, distances: Tensor, patches: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What each value of a sample has to do with the scores of its patches.

        Parameters
        ----------
        distances : (B, h, w)
            Score of each patch.
        patches : (B, F, h, w)
            How each feature deviates.
        shape : tuple of int
            Of a sample.

        Returns
        -------
        (B, *shape), >= 0
        """


def random_rows(x: Tensor) -> Tensor:
    """A row number for each row of a batch ``(K, B, ...)``: int64 ``(K, B)``."""
    return (torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) * x.shape[1]).long()


class Backbone(ABC):
    """Makes networks for samples of one spec; the only place that knows vectors from images.

    Parameters
    ----------
    spec : SampleSpec
        What the samples look like.
    members : int or None
        k, the leading axis of every input and output; None takes ``default_members``.
    width : int or None
        Hidden units (vectors) or channels of the first level (images); None takes ``default_width``.
    """

    name: ClassVar[str]
    default_members: ClassVar[int]
    default_width: ClassVar[int]
    default_r1_weight: ClassVar[float] = 0.0
    has_patches: ClassVar[bool] = False
    """Whether samples are made of patches, so that a pretrained network sees more in them."""

    def __init_subclass__(cls) -> None:
        if cls.name in BACKBONES:
            raise TypeError(f"Two backbones are called {cls.name!r}.")
        BACKBONES[cls.name] = cls

    def __init__(self, spec: SampleSpec, members: int | None = None, width: int | None = None) -> None:
        self.check(spec)
        self.spec = spec
        self.members = int(members or self.default_members)
        self.width = int(width or self.default_width)

    @classmethod
    @abstractmethod
    def check(cls, spec: SampleSpec) -> None:
        """Raise `InputError` for samples that this backbone is not made for."""

    @abstractmethod
    def encoder(self, out_dim: int) -> nn.Module:
        """``(K, B, *shape)`` -> ``(K, B, out_dim)``."""

    @abstractmethod
    def decoder(self, latent_dim: int, *, growing: bool = False) -> Decoder:
        """``(K, B, latent_dim)`` -> ``(K, B, *shape)``, within the spec's value range.

        A ``growing`` network can begin at a coarse resolution (`Stage.growing`); `InputError` if there is none.
        """

    @abstractmethod
    def critic(self, *, context_dim: int = 0, spectral_norm: bool = False, growing: bool = False) -> nn.Module:
        """``(K, B, *shape)``, and a ``context (K, B, context_dim)`` if any -> `Critique`."""

    @abstractmethod
    def augmented_critic(self, strength: float | str, *, growing: bool = False) -> nn.Module:
        """A `critic` whose input is augmented in training, by this probability or ``"adaptive"``.

        It has ``adapt(real_logit, fake_logit)``, to be told what it said. `InputError` if no augmentation is known.
        """

    @abstractmethod
    def pair_critic(self, *, spectral_norm: bool = False) -> nn.Module:
        """A critic of two samples concatenated along axis 2: ``(K, B, 2 * shape[0], ...)`` -> `Critique`."""

    @abstractmethod
    def latent_critic(self, in_dim: int, *, spectral_norm: bool = False) -> nn.Module:
        """A critic of plain vectors ``(K, B, in_dim)``, such as pairs of latents -> `Critique`."""

    @abstractmethod
    def denoising_critic(self, levels: int) -> nn.Module:
        """``(K, B, *shape)`` -> `Restoration`, for corruption of so many levels."""

    @abstractmethod
    def corruptor(self, latent_dim: int) -> nn.Module:
        """A direction from a sample and noise: ``(K, B, *shape), (K, B, latent_dim)`` -> ``(K, B, *shape)``."""

    @abstractmethod
    def patch_features(self, name: str) -> PatchFeatures:
        """The frozen extractor of feature maps of this name; a vector is its own only patch."""

    @abstractmethod
    def patch_networks(self, features: int) -> "Backbone":
        """A backbone whose samples are patches: vectors of so many features."""

    @abstractmethod
    def synthetic_anomaly(self, x: Tensor) -> Tensor:
        """What could be an anomaly, made of a batch of normal samples: ``(K, B, *shape)`` -> same."""

    @abstractmethod
    def translator(self) -> nn.Module:
        """From a sample to one like it, as the sample and a change: ``(K, B, *shape)`` -> ``(K, B, *shape)``."""

    @abstractmethod
    def unet(self, latent_dim: int) -> nn.Module:
        """An autoencoder with skip connections around its bottleneck: ``(K, B, *shape)`` -> ``(K, B, *shape)``."""

    @abstractmethod
    def inpainter(self, latent_dim: int) -> nn.Module:
        """A U-Net that fills in what a mask erases: ``(K, B, *shape)`` and a bool mask -> ``(K, B, *shape)``.

        It sees the mask, and nothing of what lies under it.
        """

    @abstractmethod
    def patch_critic(self, *, masked: bool = False) -> nn.Module:
        """A critic of parts: ``(K, B, *shape)``, and a bool mask if ``masked`` -> `Critique` of P patches.

        Its logits are ``(K, B, P)``; the one patch of a vector is the whole.
        """

    @abstractmethod
    def masks(self) -> Tensor:
        """Sets of complementary masks at several scales: bool ``(M, *shape)``, True where a mask erases.

        Drawn at random. Every value is erased in exactly one mask of each set.
        """

    @abstractmethod
    def local_mean(self, error: Tensor) -> Tensor:
        """The mean of an error map around each place: ``(K, B, *shape)`` -> ``(K, B, places)``."""


def backbone_for(name: str, spec: SampleSpec, members: int | None, width: int | None) -> Backbone:
    """The backbone of this name; ``"auto"`` follows the samples' shape: ``mlp`` for vectors, ``dcgan`` for images."""
    if name == "auto":
        name = "dcgan" if spec.is_image else "mlp"
    if name not in BACKBONES:
        raise InputError(f"Unknown backbone {name!r}; there are {', '.join(sorted(BACKBONES))} and auto.")
    return BACKBONES[name](spec, members, width)
