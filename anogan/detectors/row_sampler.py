"""Synthetic rows: a generator's row decides what a row is like, and a decoder draws its exact values."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ..data.bins import ColumnBins
from ..engine.module import GANModule, Phase, Stage
from ..errors import FormatError
from ..layout import Layout, check_layout
from ..nn.autoregressive import RowDecoder
from ..seeding import rand

ROWS = "rows."
BINS, DECODER = f"{ROWS}bins.", f"{ROWS}decoder."
_BIN_TYPES = {
    "knots": torch.float64,
    "starts": torch.int64,
    "columns": torch.int64,
    "steps": torch.float64,
    "discrete": torch.bool,
    "missing": torch.bool,
}
_SMALLEST = ([1], 1, 1)  # sizes of a decoder that has the same names as any other
WIDTH = 64  # hidden units of each column
DRAFT_RANGE = 8.0  # generated values are clipped to plus or minus this, in model space
PAIRED = 256  # rows that are paired with as many generated ones at a time, at most
ROWS_AT_ONCE = 4096
PARAMETERS = 2**19  # of the hidden layers of all columns, about: tables with many columns have narrower ones
NARROWEST = 16


class RowModule(GANModule):
    """Maximum likelihood of rows given generated ones that they are paired with.

    Each batch is paired with as many generated rows so that the sum of squared distances is smallest (an optimal
    transport plan). Both sides keep their distributions: what generated rows lack or have too often, the decoder makes
    up for.

    Parameters
    ----------
    drafts : Drafts
    decoder : RowDecoder
    """

    def __init__(self, drafts: "Drafts", decoder: RowDecoder) -> None:
        super().__init__()
        self.drafts = drafts
        self.decoder = decoder

    def stages(self) -> tuple[Stage, ...]:
        decoding = Phase("decoder", (self.decoder,), lambda x: {"likelihood": self.score(x).mean(-1)})
        return (Stage("rows", (decoding,), monitor=lambda x: self.score(x).mean(-1), betas=(0.9, 0.999)),)

    def score(self, x: Tensor) -> Tensor:
        """Return the negative log-likelihood in nats of tokens and codes of rows ``(1, B, D + d)``: ``(1, B)``."""
        columns = len(self.decoder.offsets)
        parts = []
        for rows in x[0].split(PAIRED):
            tokens, codes = rows[:, :columns].long(), rows[:, columns:]
            drafts = self.drafts(len(rows))
            _, order = linear_sum_assignment(torch.cdist(codes, drafts).square().cpu().numpy())
            parts.append(-self.decoder.log_likelihood(tokens, drafts[torch.as_tensor(order, device=drafts.device)]))
        return torch.cat(parts)[None]


def decoder_for(bins: ColumnBins, entries: int) -> RowDecoder:
    """Return an untrained decoder for columns with these bins and generated rows of so many entries."""
    sizes = bins.sizes.tolist()
    width = int(np.clip((PARAMETERS / len(sizes)) ** 0.5, NARROWEST, WIDTH))
    return RowDecoder(sizes, entries, width)


class Drafts:
    """Draws generated rows ``(B, d)`` in model space from each member in turn.

    Parameters
    ----------
    generator : GANModule
        Trained.
    members : int
    """

    def __init__(self, generator: GANModule, members: int) -> None:
        self.generator, self.members = generator, members

    @torch.no_grad()
    def __call__(self, rows: int) -> Tensor:
        drafts = self.generator.sample(-(-rows // self.members)).transpose(0, 1).flatten(0, 1)[:rows]
        return drafts.clamp(-DRAFT_RANGE, DRAFT_RANGE)


@dataclass(frozen=True, eq=False)
class RowSampler:
    """Draws synthetic rows from a trained generator.

    Attributes
    ----------
    bins : ColumnBins
    decoder : RowDecoder
        In eval mode.
    """

    bins: ColumnBins
    decoder: RowDecoder

    def sample(self, drafts: Drafts, rows: int) -> np.ndarray:
        """Return ``(rows, D)`` values as `Preprocessor.values` does, in a `seeded` block."""
        return np.concatenate(list(self._parts(drafts, rows)))

    def tensors(self) -> dict[str, Tensor]:
        """Return what `rows_from_tensors` reads."""
        bins = {f"{BINS}{name}": torch.from_numpy(values) for name, values in self.bins.arrays().items()}
        return bins | {f"{DECODER}{name}": weight.cpu() for name, weight in self.decoder.state_dict().items()}

    @torch.no_grad()
    def _parts(self, drafts: Drafts, rows: int) -> Iterator[np.ndarray]:
        for done in range(0, rows, ROWS_AT_ONCE):
            tokens = self.decoder.sample(drafts(min(ROWS_AT_ONCE, rows - done)))
            uniform = rand(*tokens.shape, dtype=torch.float64)
            yield self.bins.draw(tokens.cpu().numpy(), uniform.numpy())


def rows_layout(found: dict[str, Tensor], dtype: torch.dtype) -> Layout:
    """Return the layout of a sampler of rows: names and types, with the shapes that are found.

    `rows_from_tensors` checks the shapes, which depend on values.
    """
    types = {f"{BINS}{name}": kind for name, kind in _BIN_TYPES.items()}
    with torch.device("meta"):
        types |= {f"{DECODER}{name}": dtype for name in RowDecoder(*_SMALLEST).state_dict()}
    return {name: (kind, tuple(found[name].shape) if name in found else ()) for name, kind in types.items()}


def rows_from_tensors(weights: dict[str, Tensor], columns: int, device: torch.device) -> RowSampler:
    """Return the sampler of a file whose tensors have the names and types of `rows_layout`.

    Parameters
    ----------
    weights : dict of str to Tensor
    columns : int
        D, the number of columns of the preprocessor's values.
    device : torch.device

    Raises
    ------
    FormatError
        Shapes or bins do not fit each other.
    """
    try:
        bins = ColumnBins.checked({name: weights[f"{BINS}{name}"].numpy() for name in _BIN_TYPES}, columns)
    except FormatError as error:
        raise FormatError(f"{error} They are {', '.join(f'{BINS}{name}' for name in _BIN_TYPES)}.") from None
    entries, width = weights[f"{DECODER}context.weight"].shape[-2:]
    with torch.device("meta"):
        expected = RowDecoder(bins.sizes.tolist(), entries, width).state_dict()
    own = {name.removeprefix(DECODER): tensor for name, tensor in weights.items() if name.startswith(DECODER)}
    dtype = own["first"].dtype
    layout = {f"{DECODER}{name}": (dtype, tuple(tensor.shape)) for name, tensor in expected.items()}
    check_layout({f"{DECODER}{name}": tensor for name, tensor in own.items()}, layout)
    decoder = RowDecoder(bins.sizes.tolist(), entries, width).to(device=device, dtype=dtype)
    decoder.load_state_dict(own)
    return RowSampler(bins, decoder.requires_grad_(False).eval())
