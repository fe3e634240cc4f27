"""Positions in sorted numbers, in an exported graph by bisection: ONNX has no search in sorted numbers."""

import torch
from torch import Tensor

FEW = 1024  # values that are compared one by one, which takes less time than the steps of a bisection


def count_less(ordered: Tensor, x: Tensor) -> Tensor:
    """Count the values of an ascending vector ``(v,)`` that are less than x: ``(B,)`` -> int64 ``(B,)``."""
    if len(ordered) <= FEW:
        return (ordered < x[:, None]).sum(1)
    start = torch.zeros((), dtype=torch.int64, device=x.device)
    return count_at_most(ordered, start, start + len(ordered), x, strictly=True)


def count_at_most(values: Tensor, start: Tensor, stop: Tensor, x: Tensor, *, strictly: bool = False) -> Tensor:
    """Count the values of an ascending part of `values` that are at most x, or less than x.

    Parameters
    ----------
    values : (v,)
        Ascending from each start to its stop.
    start, stop : int64, broadcastable to the shape of x
        Where the part for each x lies.
    x : (...)
    strictly : bool
        Whether values equal to x are left out.

    Returns
    -------
    int64 (...)
    """
    low, high = start.expand(x.shape), stop.expand(x.shape)
    for _ in range(len(values).bit_length()):
        middle = (low + high) // 2
        value = values[middle.clamp(max=len(values) - 1)]
        right = (low < high) & (value < x if strictly else value <= x)
        low, high = torch.where(right, middle + 1, low), torch.where(right, high, middle)
    return low - start


def count_in_rows(ordered: Tensor, x: Tensor, *, strictly: bool) -> Tensor:
    """Count the values of each ascending row that are at most x, or less than x: ``(r, n), (r, B)`` -> ``(r, B)``."""
    if not torch.compiler.is_exporting():
        return torch.searchsorted(ordered, x.contiguous(), side="left" if strictly else "right")
    rows, n = ordered.shape
    start = (torch.arange(rows, device=x.device) * n)[:, None]
    return count_at_most(ordered.flatten(), start, start + n, x, strictly=strictly)
