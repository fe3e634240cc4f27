"""Residuals of reconstructions, relative to those that normal images with as strong edges have."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

SCALES = (1, 2)  # pixels of the side of the squares that are averaged before edges are measured
FINER = 1.2  # how many times as much the finer scale must explain to be chosen, since it is less robust to noise
STEEPEST = 1.0  # slope of log residual by log edge energy: residuals grow at most in proportion to the energy
LEAST = 1e-12  # residuals and energies below it count as this much
HIGH, LOW = 0.99, 0.01  # quantiles of the energies of normal images
BELOW = 0.1  # part of the low quantile below which energies count as this much


class RelativeResidual(nn.Module):
    """Divides residuals by what normal images have whose edges are as strong.

    An image with many strokes or much texture is reconstructed with larger errors than an image with few, so that
    smooth unusual images would look normal: a ship under a clear sky among cars, a 1 among 2s. The *edge energy* of an
    image is the sum of the squared differences of neighbouring pixels. It needs no assumption about the background,
    and is the same for an image and its negative. The expected residual is ``exp(a + b log energy)``, fitted to normal
    images. Before, pixels are averaged over squares of 2x2, unless the energies of single pixels explain clearly more
    of the residuals of normal images: those of digits do, on photographs they would consist of noise in part.

    An anomaly can add edges itself. So an energy counts as no more than nearly all normal images have, otherwise the
    score of noise would fall with its strength.

    Parameters
    ----------
    members : int
        K, the leading axis.
    shape : tuple of int
        Shape ``(C, H, W)`` of an image.
    """

    level: Tensor  # (K, 1), a
    slope: Tensor  # (K, S), b of the chosen scale, 0 of the other
    low: Tensor  # (S,), the smallest log energy that counts
    high: Tensor  # (S,), the largest one

    def __init__(self, members: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scales = [scale for scale in SCALES if 2 * scale <= min(shape[1:])]
        self.register_buffer("level", torch.zeros(members, 1))
        self.register_buffer("slope", torch.zeros(members, len(self.scales)))
        self.register_buffer("low", torch.zeros(len(self.scales)))
        self.register_buffer("high", torch.zeros(len(self.scales)))

    def fit(self, x: Tensor, residual: Tensor) -> None:
        """Learn from normal images ``(K, n, C, H, W)``, equal for all members, and residuals ``(K, n)``."""
        energies, logs = self._log_energies(x), residual.clamp(min=LEAST).log().unsqueeze(-1)  # (K, n, S), (K, n, 1)
        shares = energies.new_tensor([LOW, HIGH])
        low, high = energies[0].quantile(shares, dim=0)
        self.low.copy_(low + torch.tensor(BELOW).log())
        self.high.copy_(high)
        a, b = (values - values.mean(1, keepdim=True) for values in (energies, logs))
        together, spread = (a * b).sum(1), a.square().sum(1)  # (K, S)
        explained = together.clamp(min=0).square() / spread.clamp(min=LEAST)
        explained[:, 1:] *= FINER
        chosen = explained == explained.amax(1, keepdim=True)
        self.slope.copy_((together / spread.clamp(min=LEAST)).clamp(0, STEEPEST) * chosen)
        self.level.copy_((logs.squeeze(-1) - self._expected(energies)).mean(-1, keepdim=True))

    def forward(self, residual: Tensor, x: Tensor) -> Tensor:
        """``(K, B), (K, B, C, H, W)`` -> ``(K, B)``, about 1 for normal images."""
        return residual * (-self.level - self._expected(self._log_energies(x))).exp()

    def _expected(self, energies: Tensor) -> Tensor:
        """``(K, B, S)`` -> ``(K, B)``, the logarithm of the expected residual without the level."""
        return (energies.clamp(self.low, self.high) * self.slope.unsqueeze(1)).sum(-1)

    def _log_energies(self, x: Tensor) -> Tensor:
        """``(K, B, C, H, W)`` -> ``(K, B, S)``."""
        energies = []
        for scale in self.scales:
            pixels = avg_pool2d(x.flatten(0, 1), scale).unflatten(0, x.shape[:2])
            energies.append(sum(pixels.diff(dim=axis).square().flatten(2).sum(-1) for axis in (-2, -1)))
        return torch.stack(energies, dim=-1).clamp(min=LEAST).log()
