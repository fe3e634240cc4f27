"""The projection critic of ConditionalGAN, and the class labels that travel with conditioned samples."""

import torch
from torch import Tensor, nn

from ..nn.backbone import Backbone
from ..nn.layers import batched_linear
from ..nn.outputs import Critique


class ProjectionCritic(nn.Module):
    """psi(f(x)) + <v_c, f(x)>, Miyato 2018 (figure 1d); f and psi are the backbone's critic.

    ``(K, B, C + 1, ...)``, with the class as the last entry of axis 2, -> `Critique`. Without classes it is the
    backbone's critic.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.critic = backbone.critic()
        self.classes = backbone.spec.classes
        if self.classes:
            nothing = torch.zeros(backbone.members, 1, *backbone.spec.shape)
            self.projection = batched_linear(backbone.members, self.critic(nothing).features.shape[-1], self.classes)
            nn.init.zeros_(self.projection.weight)  # a class of which nothing is learned does not affect the logit
            nn.init.zeros_(self.projection.bias)

    def forward(self, x: Tensor) -> Critique:
        if not self.classes:
            return self.critic(x)
        logit, features = self.critic(x[:, :, :-1])
        return Critique(logit + self.class_logit(features, class_of(x)), features)

    def class_logit(self, features: Tensor, c: Tensor) -> Tensor:
        """<v_c, f(x)>: ``(K, B)``."""
        return chosen(self.projection(features), c)


def class_of(x: Tensor) -> Tensor:
    """Return the class of each sample, the last entry along axis 2: ``(K, B, C + 1, ...)`` -> int64 ``(K, B)``."""
    return x[:, :, -1:].flatten(2)[..., 0].long()


def chosen(values: Tensor, c: Tensor) -> Tensor:
    """Return the entries of ``(K, B, classes)`` at the classes ``(K, B)``: ``(K, B)``."""
    return values.gather(-1, c.unsqueeze(-1)).squeeze(-1)
