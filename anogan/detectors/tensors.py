"""The tensors of a model file: their names, types, shapes and values, checked before a network is trusted with them.

What a module's own tensors must be follows from the module, which is built on the meta device, without values. So a
detector has nothing to declare, as long as its constructor does not look at values of tensors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.overrides import TorchFunctionMode

from ..data.spec import SampleSpec
from ..engine.module import GANModule
from ..errors import FormatError
from ..layout import Layout, layout_of
from ..scoring.feature_distance import LearnedBuffers
from ..seeding import FILLS

MODULE = "module."
_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full, torch.randn, torch.rand)
_LIKE_THEIR_ARGUMENT = {*FILLS, normalize}  # in type and shape, so that they need not be computed without values
_MADE_ASIDE = 500  # tensors that a constructor makes and does not keep, at most


def sample_layout(manifest: dict[str, Any], spec: SampleSpec, dtype: torch.dtype) -> Layout:
    """Return the layout of the samples that a file holds."""
    shape = (spec.shape[0] + bool(spec.classes), *spec.shape[1:])
    rows = manifest["background_rows"]
    return {"baseline": (dtype, shape)} | ({"background": (dtype, (rows, *shape))} if rows else {})


def calibration_layout(manifest: dict[str, Any], members: int) -> Layout:
    """Return the layout of a calibration of scores ``(members, n)``."""
    fitted_on = manifest["fitted_on"]
    rows = fitted_on.get("recalibrated", fitted_on["calibration"])
    sizes = {"location": members, "scale": members, "scores": rows} | (
        {"reference": rows} if manifest["reference"] else {}
    )
    return {f"calibration.{name}": (torch.float64, (size,)) for name, size in sizes.items()}


def digests_layout(manifest: dict[str, Any]) -> Layout:
    """Return the layout of the digests of training rows."""
    return {"digests": (torch.int32, (manifest["digests"],))} if manifest["digests"] else {}


def module_layout(module: GANModule, found: dict[str, Tensor]) -> Layout:
    """Return the layout of a module's state; sizes that a fit determines are those of the tensors ``found``.

    Raises
    ------
    FormatError
        Such sizes do not agree with each other.
    """
    layout = layout_of(module.state_dict(), MODULE)
    for path, part in module.named_modules():
        if not isinstance(part, LearnedBuffers):
            continue
        place = f"{MODULE}{path}." if path else MODULE
        shapes = {name: tuple(found[place + name].shape) for name in part.learned if place + name in found}
        if not part.shapes_fit(shapes):
            raise FormatError(f"{place}{next(iter(part.learned))} and its like have shapes that do not fit: {shapes}.")
        layout |= {place + name: (layout[place + name][0], shape) for name, shape in shapes.items()}
    return layout


@contextmanager
def without_values(tensors: int) -> Iterator[None]:
    """Build networks on the meta device, where they take no memory, and no more than so many tensors can belong to.

    Raises
    ------
    FormatError
        The constructor makes more tensors.
    """
    with torch.device("meta"), _Limited(tensors + _MADE_ASIDE):
        yield


def check_finite(tensors: dict[str, Tensor]) -> None:
    """Raise `FormatError` if a tensor has NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            least, greatest = tensor.aminmax()  # NaN if there is one
            if not (least.isfinite() and greatest.isfinite()):
                raise FormatError(f"{name} has NaN or infinity; all values must be finite.")


def check_scores(module: GANModule, members: int, sample: Tensor) -> None:
    """Score one sample, if sizes of the module's tensors come from a fit and only a score shows that they fit.

    Raises
    ------
    FormatError
        The module does not score, or the score is not finite.
    """
    if not any(isinstance(part, LearnedBuffers) for part in module.modules()):
        return
    try:
        with torch.no_grad():
            score = module.score(sample.expand(members, 1, *sample.shape))
    except (RuntimeError, IndexError, ValueError) as error:
        raise FormatError(f"The tensors of the networks do not fit each other: {str(error).splitlines()[0]}") from None
    if score.shape != (1 if module.joint else members, 1) or not score.isfinite().all():
        raise FormatError("The tensors of the networks give no finite score.")


class _Limited(TorchFunctionMode):
    """Counts the tensors that are made, up to a limit, and draws or normalises no values for them.

    A draw on the meta device makes torch import its compiler, which takes a second. Spectral norms normalise each of
    their vectors fifteen times when they are built, which took three quarters of the time in which ALAD is loaded.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= func in _FACTORIES
        if self.left < 0:
            raise FormatError("The manifest describes networks of more tensors than the file has.")
        kwargs = kwargs or {}
        if func in _LIKE_THEIR_ARGUMENT:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
