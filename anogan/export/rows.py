"""Rows of tables and arrays: as numbers for a graph, and the graph that encodes them like their preprocessor.

Each learned column is one number: a number as it is, a date as seconds of its wall-clock time since 1970, a category,
text or boolean as its place in the list of known values, which is -1 for an unseen one. A missing value is NaN, or the
place after the last where a category may be missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.columns import CategoryColumn, DateColumn, NumberColumn
from ..data.columns.date import DAY, YEAR
from ..data.condition import ConditionPreprocessor
from ..data.preprocessor import Preprocessor
from ..data.tabular import TablePreprocessor
from ..data.vector import VectorPreprocessor
from .scaling import ScalerGraph


class RowsGraph(nn.Module):
    """Encodes rows ``(n, d)`` of numbers like `Preprocessor.transform`, in float64.

    Parameters
    ----------
    preprocessor : TablePreprocessor, VectorPreprocessor, or ConditionPreprocessor of one of them
        Fitted.
    """

    scaled: Tensor  # the columns that are scaled, by channel
    gaps: Tensor  # those with an indicator of missing values
    slot_columns: Tensor  # the column of each entry of a one-hot group
    slot_places: Tensor  # its place there
    phase_columns: Tensor
    widest: Tensor  # the greatest place of each category, -1 for other columns
    is_category: Tensor
    may_miss: Tensor
    order: Tensor  # where each entry of a code comes from
    turn: Tensor  # 2 pi; of a number in the code a graph keeps float32 alone, and scores may compare codes exactly

    def __init__(self, preprocessor: Preprocessor) -> None:
        super().__init__()
        columns, inner = preprocessor.columns_, preprocessor
        self.condition = -1  # the place of the condition among the columns
        if isinstance(preprocessor, ConditionPreprocessor):
            inner = preprocessor.inner
            if preprocessor.kind == "table":
                self.condition = preprocessor.place_
        assert isinstance(inner, TablePreprocessor | VectorPreprocessor)
        self.scaler = ScalerGraph(inner.scaler_)
        scaled: dict[int, int] = {}  # channel of the scaler -> number of the column
        gaps: list[int] = []
        slots: list[tuple[int, int]] = []
        phases: list[tuple[int, str]] = []
        widest = np.full(len(columns), -1.0)  # the greatest place of a category
        may_miss = np.zeros(len(columns), dtype=bool)
        order: list[tuple[str, int]] = []  # where each entry of a code comes from
        for number, column in enumerate(columns):
            if isinstance(column, CategoryColumn):
                widest[number] = column.width - 1
                if number == self.condition:
                    continue
                order += [("slot", len(slots) + place) for place in range(column.width)]
                slots += [(number, place) for place in range(column.width)]
                continue
            assert isinstance(column, NumberColumn | DateColumn)
            may_miss[number] = column.missing
            if column.channel >= 0:
                scaled[column.channel] = number
                order.append(("scaled", column.channel))
            if column.missing:
                order.append(("gap", len(gaps)))
                gaps.append(number)
            if isinstance(column, DateColumn):
                order += [("phase", 2 * len(phases) + place) for place in range(2 * len(column.parts))]
                phases += [(number, part) for part in column.parts]
        self.periods = [part for _, part in phases]
        self._keep("turn", 2 * np.pi, torch.float64)
        self._keep("scaled", [scaled[channel] for channel in range(len(scaled))])
        self._keep("gaps", gaps)
        self._keep("slot_columns", [number for number, _ in slots])
        self._keep("slot_places", [float(place) for _, place in slots], torch.float64)
        self._keep("phase_columns", [number for number, _ in phases])
        self._keep("widest", widest, torch.float64)
        self._keep("is_category", widest >= 0, torch.bool)
        self._keep("may_miss", may_miss, torch.bool)
        sizes = {"scaled": len(scaled), "gap": len(gaps), "slot": len(slots), "phase": 2 * len(phases)}
        starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        self._keep("order", [starts[part] + place for part, place in order])

    def _keep(self, name: str, values: Any, dtype: torch.dtype = torch.int64) -> None:
        self.register_buffer(name, torch.as_tensor(np.asarray(values), dtype=dtype))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes ``(n, D)``, and which rows have known values alone ``(n,)``."""
        missing = rows.isnan()
        filled = torch.where(missing, 0.0, rows)
        is_place = (rows >= 0) & (rows <= self.widest) & (rows == rows.floor())  # not of NaN
        is_number = (self.may_miss | ~missing) & ~rows.isinf()
        known = ((self.is_category & is_place) | (~self.is_category & is_number)).all(1)
        parts = []
        if len(self.scaled):
            parts.append(self.scaler(rows[:, self.scaled]))
        if len(self.gaps):
            parts.append(missing[:, self.gaps].double())
        if len(self.slot_columns):
            parts.append((rows[:, self.slot_columns] == self.slot_places).double())
        if self.periods:
            parts.append(self._phases(filled[:, self.phase_columns], missing[:, self.phase_columns]))
        codes = torch.cat(parts, dim=1)[:, self.order]
        if self.condition >= 0:
            codes = torch.cat([codes, filled[:, self.condition : self.condition + 1]], dim=1)
        return codes, known

    def _phases(self, seconds: Tensor, missing: Tensor) -> Tensor:
        """Return sine and cosine of the phase of each date in its period: ``(n, p)`` -> ``(n, 2 p)``."""
        angles = []
        for number, part in enumerate(self.periods):
            time = seconds[:, number]
            if part == "week":
                time = (time / DAY).floor()
            period = {"day": DAY, "week": 7.0, "year": YEAR}[part]
            since = time - (time / period).floor() * period  # exact
            angles.append(self.turn * (since / period))
        angle = torch.stack(angles, dim=1)
        # Of a missing date both are 0. ONNX Runtime has sine and cosine of float64 angles.
        waves = torch.stack([angle.sin(), angle.cos()], dim=2) * ~missing.unsqueeze(2)
        return waves.flatten(1)
