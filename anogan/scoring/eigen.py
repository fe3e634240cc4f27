"""Eigenvalues and eigenvectors that every device and every matrix has."""

import torch
from torch import Tensor


def eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, ascending, and eigenvectors of symmetric ``(..., d, d)``: ``(..., d)`` and ``(..., d, d)``.

    Both are float64 on the CPU: not every device has the function, and with float32 some matrices of rank one have
    vectors of NaN (LAPACK's divide and conquer).
    """
    values, vectors = torch.linalg.eigh(matrices.cpu().double())
    return values, vectors
