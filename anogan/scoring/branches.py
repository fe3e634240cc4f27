"""Parts of scoring that most samples do not need, skipped in a graph as in Python."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

T = TypeVar("T")
S = TypeVar("S")


def either(condition: Tensor, first: Callable[[S], T], second: Callable[[S], T], x: S) -> T:
    """Return ``first(x)`` if ``condition ()`` is true, otherwise ``second(x)``.

    A graph computes only what is returned. There both results need the same shapes, and tensors must not be made of
    numbers in the code, as by `torch.tensor`, but outside.

    Parameters
    ----------
    condition : () bool tensor
    first, second : callable
        They may use other tensors than x.
    x : tensor, or tuple of tensors
    """
    if torch.compiler.is_exporting():
        return torch.cond(condition, *(_copied(each) for each in (first, second)), (x,))
    return first(x) if condition else second(x)


def changed_if(condition: Tensor, change: Callable[[T], T], x: T) -> T:
    """Return ``change(x)`` if ``condition ()`` is true, otherwise x; see `either`."""
    return either(condition, change, lambda same: same, x)


def _copied(function: Callable[[S], T]) -> Callable[[S], T]:
    """Let a function return contiguous copies, since branches must not return inputs or tensors of other strides."""
    return lambda x: tree_map(lambda each: each.clone(memory_format=torch.contiguous_format), function(x))
