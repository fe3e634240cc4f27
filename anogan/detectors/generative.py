"""The training of a generator against a critic that AnoGAN, f-AnoGAN and WGAN-GP share."""

from dataclasses import replace

import torch
from torch import Tensor

from ..engine.module import GANModule, Phase, Stage, Terms
from ..errors import InputError
from ..losses.adversarial import Objective
from ..losses.distances import energy_distance
from ..losses.penalties import gradient_penalty, r1_penalty
from ..nn.augment import Augmented
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..seeding import randn

R1_EVERY = 16  # steps from one R1 penalty to the next, Karras 2020 (arXiv:1912.04958), appendix B


class GenerativeModule(GANModule):
    """A generator from noise and a critic.

    Parameters
    ----------
    backbone : Backbone
    latent_dim : int
        Size of z ~ N(0, I).
    objective : Objective
    penalty_weight : float
        Weight of the gradient penalty, if the objective has one.
    critic_steps : int
        Critic steps for each generator step.
    r1_weight : float
        Gamma of the R1 penalty on real samples; 0 leaves it out.
    growing : bool
        Whether generator and critic start at a coarse resolution.
    augment : float or "adaptive"
        Probability of each augmentation of the critic's input in training; 0 leaves augmentation out.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        latent_dim: int,
        objective: Objective,
        penalty_weight: float,
        critic_steps: int,
        r1_weight: float = 0.0,
        growing: bool = False,
        augment: float | str = 0.0,
    ) -> None:
        super().__init__()
        self.generator = backbone.decoder(latent_dim, growing=growing)  # (K, B, latent) -> (K, B, *shape)
        self.critic = backbone.critic(growing=growing)  # (K, B, *shape) -> logit, features
        if augment:
            operations = backbone.geometry.augmentations
            if not operations:
                shape = backbone.spec.shape
                raise InputError(f"augment={augment!r} needs pictures; X has samples of shape {shape}. Use augment=0.")
            self.critic = Augmented(self.critic, operations, members=backbone.members, strength=augment)
        self.latent_dim = latent_dim
        self.members = backbone.members
        self.objective = objective
        self.penalty_weight = penalty_weight
        self.critic_steps = critic_steps
        self.r1_weight = r1_weight
        self.growing = growing
        self.draws_pictures = backbone.spec.is_image

    def adversarial_stage(self) -> Stage:
        """Return the stage that trains critic and generator."""
        clip, rate = self.objective.weight_clip, self.objective.critic_rate
        critic = Phase("critic", (self.critic,), self.critic_loss, weight_clip=clip, rate=rate)
        r1 = replace(critic, name="r1", loss=self.r1_loss, every=R1_EVERY, lazy=True)
        rate = self.objective.generator_rate
        generator = Phase("generator", (self.generator,), self.generator_loss, every=self.critic_steps, rate=rate)
        return Stage(
            "gan",
            (critic, r1, generator) if self.r1_weight else (critic, generator),
            monitor=self.sample_distance,
            betas=self.objective.betas,
            growing=(self.generator, self.critic) if self.growing else (),
            # Without a bound on the critic's gradients pictures first become blurs, which are nearer to others in
            # pixels than the first strokes are: the energy distance rises before it falls.
            stops=self.objective.constrained or not self.draws_pictures,
        )

    def latent(self, rows: int) -> Tensor:
        """Draw z: ``(K, rows, latent_dim)``."""
        weight = next(self.generator.parameters())
        return randn(self.members, rows, self.latent_dim, dtype=weight.dtype, device=weight.device)

    def sample(self, rows: int) -> Tensor:
        return self.generator(self.latent(rows))

    def critic_loss(self, x: Tensor) -> Terms:
        with torch.no_grad():
            fake = self.sample(x.shape[1])
        real, made = critique_both(self.critic, x, fake)
        if isinstance(self.critic, Augmented):
            self.critic.adapt(real.logit, made.logit)
        terms = {"adversarial": self.objective.critic(real.logit, made.logit)}
        if self.objective.penalised:
            penalty = gradient_penalty(lambda between: self.critic(between).logit, x, fake)
            terms["gradient_penalty"] = self.penalty_weight * penalty
        return terms

    def r1_loss(self, x: Tensor) -> Terms:
        """The lazy penalty: its weight is multiplied by the number of steps between two applications."""
        return {"r1": self.r1_weight * R1_EVERY * r1_penalty(lambda real: self.critic(real).logit, x)}

    def generator_loss(self, x: Tensor) -> Terms:
        return {"adversarial": self.objective.generator(self.critic(self.sample(x.shape[1])).logit)}

    def sample_distance(self, x: Tensor) -> Tensor:
        """Return the energy distance between generated samples and held-out rows: ``(K,)``."""
        return energy_distance(x.flatten(2), self.sample(x.shape[1]).flatten(2))

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, made = critique_both(self.critic, x, self.sample(x.shape[1]))
        return real.logit, made.logit
