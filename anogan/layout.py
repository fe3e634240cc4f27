"""Types and shapes that the tensors of a file must have."""

from torch import Tensor, dtype

from .errors import FormatError

Layout = dict[str, tuple[dtype, tuple[int, ...]]]
"""Type and shape of each tensor by name."""


def layout_of(tensors: dict[str, Tensor], prefix: str = "") -> Layout:
    """Return the layout of tensors, with a prefix before their names."""
    return {f"{prefix}{name}": (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def check_layout(found: dict[str, Tensor], layout: Layout) -> None:
    """Raise `FormatError` unless each tensor of the layout is there with its type and shape."""
    for name, (kind, shape) in layout.items():
        if name not in found:
            raise FormatError(f"{name} is missing.")
        tensor = found[name]
        if tensor.dtype != kind or tuple(tensor.shape) != shape:
            got = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
            raise FormatError(f"{name} is of type {got}; it must be {kind} of shape {shape}.")


def check_unknown(found: dict[str, Tensor], layout: Layout) -> None:
    """Raise `FormatError` if there is a tensor that the layout does not have."""
    if unknown := found.keys() - layout.keys():
        raise FormatError(f"{min(unknown)} is a tensor that is not expected.")
