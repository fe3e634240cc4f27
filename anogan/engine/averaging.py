"""Averages of weights over the steps of a training."""

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

RUNNING_STATISTICS = ("running_mean", "running_var")  # of batch norm


class WeightAverage:
    """Exponential moving average of a module's weights and running statistics, by `torch.optim.swa_utils`' update.

    `AveragedModel` walks the module tree at each step, which costs as much as the forward pass of a small network. The
    singular vectors of spectral norm are not averaged, since they would lose their unit length.
    """

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        weights = {name for name, _ in module.named_parameters()}
        live = {k: t for k, t in module.state_dict().items() if k in weights or k.endswith(RUNNING_STATISTICS)}
        self.names, self.live = list(live), list(live.values())
        self.averages = [tensor.clone() for tensor in self.live]
        self.update_averages = get_ema_multi_avg_fn(decay)

    def update(self) -> None:
        """Add the weights after a step."""
        self.update_averages(self.averages, self.live, None)

    def weights(self) -> dict[str, Tensor]:
        """Return copies of the averages by the names of the module's state."""
        return dict(zip(self.names, (t.clone() for t in self.averages), strict=True))

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take averages that `weights` returned."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(weights[name])
