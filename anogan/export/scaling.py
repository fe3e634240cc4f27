"""The scaling of numeric columns as a graph."""

import numpy as np
import torch
from torch import Tensor, nn

from ..data.scaling import CONSTANT_STEP, LARGEST, LINEAR_LIMIT, NumericScaler
from ..scoring.counting import count_at_most


class ScalerGraph(nn.Module):
    """`NumericScaler.column` of all columns at once, in float64.

    Parameters
    ----------
    scaler : NumericScaler
        Fitted.
    """

    factor: Tensor
    second_factor: Tensor
    largest: Tensor  # beyond the range of float32, to which a graph rounds numbers in the code
    without_value: Tensor
    center: Tensor
    scale: Tensor
    constant: Tensor
    forms: Tensor  # (k, d), see `NumericScaler.constant_forms`
    error: Tensor  # (d,)
    fill: Tensor
    middle: Tensor
    spread: Tensor
    knots: Tensor
    ranks: Tensor
    slope: Tensor
    start: Tensor
    stop: Tensor

    def __init__(self, scaler: NumericScaler) -> None:
        super().__init__()
        self.scaling = scaler.scaling
        half = scaler.exponent_ // 2  # two factors, since their product may exceed the range of float64
        self._keep("factor", np.ldexp(1.0, -half))
        self._keep("second_factor", np.ldexp(1.0, half - scaler.exponent_))
        self._keep("largest", np.array(LARGEST))
        self._keep("without_value", np.isnan(scaler.center_))
        self._keep("center", np.nan_to_num(scaler.center_))
        for name in ("scale", "constant", "fill"):
            self._keep(name, getattr(scaler, f"{name}_"))
        known = scaler.constant_ & ~np.isnan(scaler.center_)
        same = [scaler.constant_forms(j) if known[j] else (np.zeros(1), 0.0) for j in range(len(known))]
        most = max((len(forms) for forms, _ in same), default=1)
        self._keep("forms", np.array([np.resize(forms, most) for forms, _ in same]).reshape(-1, most).T)
        self._keep("error", np.array([error for _, error in same]))
        if self.scaling == "soft":
            self._keep("middle", scaler.middle_)
            self._keep("spread", scaler.spread_)
        if self.scaling == "quantile":
            # A constant column has no knots, and its result is not used.
            self._keep("knots", np.append(scaler.knots_, 0.0))
            self._keep("ranks", np.append(scaler.ranks_, 0.0))
            self._keep("slope", scaler.slope_)
            self._keep("start", scaler.offset_[:-1])
            self._keep("stop", scaler.offset_[1:])

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.array(values)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(n, d)`` in the users' units, NaN = missing; a missing value becomes that of the training median."""
        missing = x.isnan()
        y = torch.where(missing, 0.0, x) * self.factor * self.second_factor
        y = y.maximum(-self.largest).minimum(self.largest)
        difference = y - self.center
        changed = torch.stack([(y - form).abs() > self.error for form in self.forms]).all(0)
        of_constant = CONSTANT_STEP * difference.sign() * changed
        z = torch.where(self.constant, of_constant, self._varying(difference / self.scale))
        z = torch.where(self.without_value, 0.0, z)
        return torch.where(missing, self.fill.expand_as(z), z)

    def _varying(self, u: Tensor) -> Tensor:
        if self.scaling == "standard":
            return symlog(u)
        size = u.abs()
        v = u.sign() * (size + (size.square() + 1).sqrt()).log()  # ONNX Runtime has asinh for float32 alone
        if self.scaling == "soft":
            return (v - self.middle) / self.spread
        return self._rank(v) if self.scaling == "quantile" else v

    def _rank(self, v: Tensor) -> Tensor:
        last = (self.stop - 1).clamp(min=0)
        below = self.start + count_at_most(self.knots, self.start, self.stop, v) - 1
        left = torch.minimum(below.clamp(min=0).maximum(self.start), (last - 1).maximum(self.start))
        right = torch.minimum(left + 1, last)
        low, high = self.knots[left], self.knots[right]
        share = torch.where(high > low, (v - low) / torch.where(high > low, high - low, 1.0), 0.0).clamp(0, 1)
        inside = self.ranks[left] + share * (self.ranks[right] - self.ranks[left])
        beyond, short = (v - self.knots[last]).clamp(min=0), (self.knots[self.start] - v).clamp(min=0)
        return inside + self.slope[:, 1] * beyond - self.slope[:, 0] * short


def symlog(z: Tensor) -> Tensor:
    """`anogan.data.scaling.symlog` as a graph."""
    size = z.abs()
    compressed = z.sign() * LINEAR_LIMIT * (1.0 + (size / LINEAR_LIMIT).clamp(min=1.0).log())
    return torch.where(size > LINEAR_LIMIT, compressed, z)
