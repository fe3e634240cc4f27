"""A network that draws the values of a row one after the other, each given those before it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ..seeding import rand
from .layers import SLOPE, BatchedLinear

IMPOSSIBLE = -1e9  # logit of a token that a column does not have
ROUGHNESS = 0.1  # share of an embedding that is not a function of the token's place, at the start
OUT_SCALE = 0.5


class RowDecoder(nn.Module):
    """p(row | context) as a product over columns of p(token | tokens of earlier columns, context).

    The neural autoregressive estimator of Larochelle & Murray (AISTATS 2011): the input of a column's layers is the sum
    of the embeddings of all earlier tokens. In training all columns are computed at once. Tokens are in the order of
    their values, so that weights start as smooth functions of a token's place: neighbours start alike.

    Parameters
    ----------
    sizes : sequence of int
        Number of tokens of each of D columns.
    context_dim : int
    width : int
        Hidden units of each column.
    """

    offsets: Tensor
    possible: Tensor

    def __init__(self, sizes: Sequence[int], context_dim: int, width: int) -> None:
        super().__init__()
        columns, most = len(sizes), max(sizes)
        self.embedding = nn.Embedding(sum(sizes), width)
        self.context = BatchedLinear(1, context_dim, width)
        self.first = nn.Parameter(torch.zeros(columns, 1, width))
        self.hidden = BatchedLinear(columns, width, width)
        self.out = BatchedLinear(columns, width, most)
        size = torch.tensor(sizes)[:, None]
        number = torch.arange(most)
        self.register_buffer("offsets", size.cumsum(0)[:, 0] - size[:, 0], persistent=False)
        self.register_buffer("possible", number < size, persistent=False)  # (D, most)
        place = (2 * number / (size - 1).clamp_min(1) - 1) * 3**0.5  # (D, most), of variance 1
        self._start(torch.where(self.possible, place, 0.0), sizes)

    @torch.no_grad()
    def _start(self, place: Tensor, sizes: Sequence[int]) -> None:
        """Draw embeddings whose sum has a variance of about 1, and the weights of the output."""
        columns, _, width = self.first.shape
        slope, rough = torch.randn(columns, 1, width), torch.randn(*self.embedding.weight.shape)
        smooth = torch.cat([rows[:size] for rows, size in zip(slope * place[..., None], sizes, strict=True)])
        self.embedding.weight.copy_((smooth + ROUGHNESS * rough) * columns**-0.5)
        slope, bend = torch.randn(2, columns, width, 1)
        self.out.weight.copy_((slope * place[:, None] + bend * (place**2 - 1)[:, None]) * OUT_SCALE * width**-0.5)

    def log_likelihood(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Return log p(row | context): ``(B, D) int64, (B, C)`` -> ``(B,)``."""
        embedded = self.embedding(tokens + self.offsets).transpose(0, 1)  # (D, B, width)
        earlier = embedded.cumsum(0) - embedded
        logits = self._logits(earlier + self.context(context[None]))
        return logits.log_softmax(-1).gather(-1, tokens.T[..., None])[..., 0].sum(0)

    def sample(self, context: Tensor) -> Tensor:
        """Draw a row for each context: ``(B, C)`` -> ``(B, D)`` int64."""
        earlier, tokens = self.context(context[None]), []  # (1, B, width)
        for column, offset in enumerate(self.offsets):
            logits = self._logits(earlier, slice(column, column + 1))[0]
            uniform = rand(*logits.shape, dtype=logits.dtype, device=logits.device)
            noise = -(-uniform.clamp_min(1e-30).log()).clamp_min(1e-30).log()  # Gumbel's: the largest sum is a draw
            tokens.append((logits + noise).argmax(-1))
            earlier = earlier + self.embedding(tokens[-1] + offset)
        return torch.stack(tokens, -1)

    def _logits(self, earlier: Tensor, columns: slice = slice(None)) -> Tensor:
        """Logits ``(D, B, most)`` of some columns, given the sums ``(D, B, width)`` of what comes before each."""
        h = leaky_relu(earlier + self.first[columns], SLOPE)
        h = h + leaky_relu(torch.baddbmm(self.hidden.bias[columns], h, self.hidden.weight[columns]), SLOPE)
        logits = torch.baddbmm(self.out.bias[columns], h, self.out.weight[columns])
        return logits.masked_fill(~self.possible[columns, None], IMPOSSIBLE)
