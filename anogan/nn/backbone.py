"""The interface between detectors and backbones, and the registered backbones."""

import importlib
import math
import pkgutil
from abc import ABC, abstractmethod
from functools import cache
from typing import ClassVar

from torch import Tensor, nn

from ..data.spec import SampleSpec
from ..errors import InputError
from .geometry import Geometry, geometry_for
from .outputs import Hourglass

BACKBONES: dict[str, type["Backbone"]] = {}
"""Filled by the modules of this folder; see `backbones`."""


class Decoder(nn.Module):
    """A network from a latent to a sample in one or two steps: ``x = decoder(z) = synthesis(mapping(z))``.

    A search for the latent of a given sample runs among the w, which need not be distributed like z and are more
    disentangled for that reason (Karras 2019, arXiv:1812.04948). Networks without a mapping have w = z.
    """

    def mapping(self, z: Tensor) -> Tensor:
        """Map ``(K, B, latent_dim)`` to w, of the same shape."""
        return z

    def synthesis(self, w: Tensor) -> Tensor:
        """Map ``(K, B, latent_dim)`` to samples ``(K, B, *shape)``."""
        return self(w)

    def centre(self) -> Tensor | float:
        """Return the mean of the w, ``(K, 1, latent_dim)``; the default is that of z ~ N(0, I)."""
        return 0.0

    def radius(self, latent_dim: int) -> Tensor | float:
        """Return the root mean square distance of the w from their mean, ``(K, 1, 1)``; the default is that of z."""
        return math.sqrt(latent_dim)


class Backbone(ABC):
    """Makes networks for samples of one spec. Only backbones and `Geometry` distinguish vectors from images.

    Parameters
    ----------
    spec : SampleSpec
        Shape and value range of the samples.
    members : int or None
        k, the leading axis of every input and output; None takes ``default_members``.
    width : int or None
        Hidden units (vectors) or channels of the first level (images); None takes ``default_width``.
    """

    name: ClassVar[str]
    default_members: ClassVar[int]
    default_width: ClassVar[int]
    default_r1_weight: ClassVar[float] = 0.0
    """Gamma of the R1 penalty for objectives that do not constrain the critic."""
    default_objective: ClassVar[str] = "non_saturating"
    """Adversarial loss of AnoGAN."""
    has_mapping: ClassVar[bool] = False
    """Whether decoders map z to a w of another distribution."""
    default_critic_steps: ClassVar[int] = 1
    """Critic steps for each generator step of a Wasserstein GAN with gradient penalty."""
    vector_units: ClassVar[int] = 1
    """Hidden units of this backbone's networks for plain vectors such as latents, as a multiple of the width."""
    patch_units: ClassVar[int] = 1
    """Hidden units of this backbone's networks for vectors of patch features, as a multiple of the width."""

    def __init_subclass__(cls) -> None:
        if cls.name in BACKBONES:
            raise TypeError(f"Two backbones are called {cls.name!r}.")
        BACKBONES[cls.name] = cls

    def __init__(self, spec: SampleSpec, members: int | None = None, width: int | None = None) -> None:
        self.check(spec)
        self.spec = spec
        self.members = int(members or self.default_members)
        self.width = int(width or self.default_width)

    def of(self, spec: SampleSpec, *, width: int | None = None) -> "Backbone":
        """Return a backbone with as many members for samples of another spec.

        It is of the same kind if the samples have as many axes, otherwise the default one for the spec.

        Parameters
        ----------
        spec : SampleSpec
        width : int or None
            None takes this backbone's width, and `vector_units` times the width if the kind changes.
        """
        same = len(spec.shape) == len(self.spec.shape)
        return backbone_for(
            self.name if same else "auto", spec, self.members, width or self.width * (1 if same else self.vector_units)
        )

    @property
    def patch_width(self) -> int:
        """Width of networks for vectors of patch features."""
        return self.patch_units * self.width

    @property
    def geometry(self) -> Geometry:
        """The layout of the samples."""
        return geometry_for(self.spec)

    @classmethod
    @abstractmethod
    def check(cls, spec: SampleSpec) -> None:
        """Raise `InputError` if this backbone cannot handle samples of the spec."""

    @abstractmethod
    def encoder(self, out_dim: int) -> nn.Module:
        """``(K, B, *shape)`` -> ``(K, B, out_dim)``."""

    @abstractmethod
    def decoder(self, latent_dim: int, *, growing: bool = False) -> Decoder:
        """``(K, B, latent_dim)`` -> ``(K, B, *shape)``, within the spec's value range.

        A ``growing`` network can start at a coarse resolution (`Stage.growing`). Raises `InputError` if samples have
        only one resolution.
        """

    @abstractmethod
    def critic(self, *, context_dim: int = 0, spectral_norm: bool = False, growing: bool = False) -> nn.Module:
        """``(K, B, *shape)``, and a ``context (K, B, context_dim)`` if any -> `Critique`."""

    @abstractmethod
    def patch_critic(self, *, extra_channels: int = 0) -> nn.Module:
        """A critic of parts with spectral norm: ``(K, B, *shape)`` -> `Critique` with logits ``(K, B, P)``.

        With ``extra_channels`` the input has so many more channels along axis 2 (``shape[0]`` columns each, if samples
        are vectors). The only patch of a vector is the whole vector.
        """

    @abstractmethod
    def hourglass(
        self,
        *,
        extra_channels: int = 0,
        bottleneck: int | None = None,
        noise_dim: int = 0,
        classes: int = 0,
        bounded: bool = False,
    ) -> Hourglass:
        """An encoder-decoder with skip connections: ``(K, B, *shape)`` -> `HourglassOutput`.

        Parameters
        ----------
        extra_channels : int
            The input has so many more channels along axis 2 (``shape[0]`` columns each, if samples are vectors).
        bottleneck : int or None
            Size of a code through which the coarsest level passes; None passes the level itself.
        noise_dim : int
            Size of a second input ``(K, B, noise_dim)``; 0: there is none.
        classes : int
            Size of the logits computed from the features. On vectors, weights then start as a random projection.
        bounded : bool
            Whether the output lies within the spec's value range.
        """


def backbones() -> dict[str, type[Backbone]]:
    """Return all backbones by name, in alphabetical order; a module that is put into this folder registers its own."""
    _import_all()
    return dict(sorted(BACKBONES.items()))


@cache
def _import_all() -> None:
    """Import each module of this folder, so that its backbones are registered; every fit asks for them."""
    package = importlib.import_module(__package__)
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{info.name}")


def backbone_for(name: str, spec: SampleSpec, members: int | None, width: int | None) -> Backbone:
    """Return the backbone of this name; ``"auto"`` is ``mlp`` for vectors and ``dcgan`` for images."""
    if name == "auto":
        name = "dcgan" if spec.is_image else "mlp"
    known = backbones()
    if name not in known:
        raise InputError(f"Unknown backbone {name!r}; there are {', '.join(known)} and auto.")
    return known[name](spec, members, width)
