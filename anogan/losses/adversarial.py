"""Adversarial losses. Logits are ``(K, B)``, higher = more real; losses are ``(K,)``, means over the batch."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class Objective:
    """A pair of adversarial losses.

    Parameters
    ----------
    critic : callable (real_logit, fake_logit) -> (K,)
        The critic's loss.
    generator : callable (fake_logit) -> (K,)
        The generator's loss.
    weight_clip : float or None
        Bound that every weight of the critic is clipped to after its step (original WGAN).
    penalised : bool
        Whether the critic needs the gradient penalty of WGAN-GP.
    betas : (float, float)
        Adam's coefficients.
    generator_rate, critic_rate : float
        Learning rates, as multiples of the training's.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    weight_clip: float | None = None
    penalised: bool = False
    betas: tuple[float, float] = (0.5, 0.999)
    generator_rate: float = 1.0
    critic_rate: float = 1.0

    @property
    def constrained(self) -> bool:
        """Whether the critic's gradients are bounded by the objective itself, so that it needs no R1 penalty."""
        return self.penalised or self.weight_clip is not None


def cross_entropy_critic(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), Goodfellow 2014 (arXiv:1406.2661), eq. 1."""
    return (softplus(-real_logit) + softplus(fake_logit)).mean(-1)


def minimax_generator(fake_logit: Tensor) -> Tensor:
    """log(1 - D(fake)), Goodfellow 2014, eq. 1."""
    return -softplus(fake_logit).mean(-1)


def non_saturating_generator(fake_logit: Tensor) -> Tensor:
    """-log D(fake), Goodfellow 2014, section 3."""
    return softplus(-fake_logit).mean(-1)


def least_squares_critic(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """Mao 2017 (arXiv:1611.04076), eq. 9 with a=0, b=1."""
    return ((real_logit - 1).square() + fake_logit.square()).mean(-1) / 2


def least_squares_generator(fake_logit: Tensor) -> Tensor:
    """Mao 2017, eq. 9 with c=1."""
    return (fake_logit - 1).square().mean(-1) / 2


def hinge_critic(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """Miyato 2018 (arXiv:1802.05957), eq. 16."""
    return (relu(1 - real_logit) + relu(1 + fake_logit)).mean(-1)


def wasserstein_critic(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """E D(fake) - E D(real), Arjovsky 2017 (arXiv:1701.07875), eq. 3."""
    return (fake_logit - real_logit).mean(-1)


def wasserstein_generator(fake_logit: Tensor) -> Tensor:
    """-E D(fake), Arjovsky 2017, eq. 3."""
    return -fake_logit.mean(-1)


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(cross_entropy_critic, minimax_generator),
    "non_saturating": Objective(cross_entropy_critic, non_saturating_generator),
    "least_squares": Objective(least_squares_critic, least_squares_generator),
    "hinge": Objective(hinge_critic, wasserstein_generator),
    # The paper clips at 0.01 and trains far longer; on images a few hundred steps then give blobs.
    "wasserstein": Objective(wasserstein_critic, wasserstein_generator, weight_clip=0.05),
    "wasserstein_gp": Objective(wasserstein_critic, wasserstein_generator, penalised=True, betas=(0.0, 0.9)),
}
