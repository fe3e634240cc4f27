"""The score that AnoGAN and f-AnoGAN share: the residual of a reconstruction by a trained generator."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples
from ..engine.module import Prediction
from ..nn.backbone import Backbone
from ..scoring.relative import RelativeResidual
from .generative import GenerativeModule

ROWS = 256  # training rows that show how residuals depend on the edges of an image


class ReconstructingModule(GenerativeModule):
    """A GAN whose generator reconstructs samples; on images the residual is relative to their edges."""

    def __init__(self, backbone: Backbone, **training: Any) -> None:
        super().__init__(backbone, **training)
        # Values that have a meaning of their own (columns) are compared as they are.
        compared = backbone.geometry.has_columns
        self.relative = None if compared else RelativeResidual(backbone.members, backbone.spec.shape)

    @abstractmethod
    def residual(self, x: Tensor, fake: Tensor) -> Tensor:
        """Return how far samples are from their reconstructions: ``(K, B)``, >= 0."""

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        fake = self.reconstruct(x)
        score = self.residual(x, fake)
        if self.relative is not None:
            score = self.relative(score, x)
        return Prediction(score, (x - fake).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    @torch.no_grad()
    def after_training(self, normal: Samples) -> None:
        if self.relative is not None:
            rows = normal.batch(np.arange(min(len(normal), ROWS))).to(next(self.parameters()))
            x = rows.expand(self.members, *rows.shape)
            fake = self.reconstruct(x)
            self.relative.fit(x, self.residual(x, fake))
