"""What a trained module makes of normal samples that training has not seen, and the diagnosis that follows."""

import hashlib
from math import prod

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples, TensorSamples
from ..data.spec import SampleSpec
from ..engine.diagnostics import FEWEST_ROWS, IN_FEATURES, Diagnosis, diagnose
from ..engine.history import History
from ..engine.inference import Inference
from ..engine.likeness import (
    distinctness,
    diversity,
    explained_variance,
    frechet_distance,
    likeness,
    nearest,
    ranking_accuracy,
    sharpness,
)
from ..nn.frozen import SHOWN_CHANNELS, pretrained
from ..nn.picture_probes import picture_probes
from ..scoring.calibration import Calibration

DIAGNOSED_ROWS = 512  # at most
DIAGNOSED_VALUES = (
    2**25
)  # numbers in them, at most: fewer large pictures are diagnosed, but no fewer than `FEWEST_ROWS`
RECONSTRUCTED_ROWS = 64  # diagnosed rows that are reconstructed, and pictures that are turned into synthetic anomalies
FEATURE_NETWORK = "efficientnet_lite0"  # its features compare generated pictures with real ones


def diagnose_module(
    inference: Inference,
    held_out: Samples,
    training: Samples,
    spec: SampleSpec,
    *,
    history: History,
    steps: int,
    drawn: np.ndarray | None = None,
    calibration: Calibration | None = None,
    degenerate: dict[str, str] | None = None,
) -> Diagnosis:
    """Diagnose a trained module by normal samples that training has not seen, as far as there are any.

    Parameters
    ----------
    inference : Inference
    held_out : Samples
    training : Samples
        Normal samples beside which generated ones are compared with held-out ones.
    spec : SampleSpec
    history : History
        Curves of the training.
    steps : int
        Budget of each stage.
    drawn : (m, d) or None
        Synthetic rows in model space, if others than the generator's own are compared.
    calibration : Calibration or None
        Scores of held-out samples, which those of synthetic anomalies are compared with.
    degenerate : dict or None
        See `diagnose`.
    """
    n = min(len(held_out), DIAGNOSED_ROWS, max(DIAGNOSED_VALUES // prod(spec.shape), FEWEST_ROWS))
    module, entries = inference.module, spec.shape[0]  # without the class number, which is not a coordinate
    rated = calibration if spec.is_image else None
    measures: dict[str, float] = {}
    rows = held_out.batch(np.arange(n))
    chosen = _first_of_equal(rows[:, :entries])
    if len(chosen) >= FEWEST_ROWS:
        with torch.no_grad():
            if module.can("sample") or module.can("reconstruct") or rated is not None:
                reference = training.batch(np.arange(min(len(training), n)))
                measures |= _of_rows(inference, rows, reference, chosen, spec, drawn, rated)
                del reference
            del rows  # large pictures fill much memory
            as_trained = module.as_trained_on(held_out.subset(np.arange(n)))
            first = as_trained.batch(np.arange(min(len(as_trained), DIAGNOSED_ROWS)))
            if (logits := module.critic_logits(inference.expand(first))) is not None:
                measures["critic_accuracy"] = ranking_accuracy(*logits)
    return diagnose(
        measures,
        curves=history,
        steps=steps,
        rows=len(chosen),
        unit=spec.unit,
        expects_equilibrium=module.expects_equilibrium,
        degenerate=degenerate,
    )


def _first_of_equal(rows: Tensor) -> np.ndarray:
    """Return the numbers of the different rows of ``(n, *shape)``, without a copy of all of them: int64 ``(m,)``."""
    first: dict[bytes, int] = {}
    for number, row in enumerate(rows):  # + 0 makes -0 equal to 0
        first.setdefault(hashlib.sha256((row + 0).numpy().tobytes()).digest(), number)
    return np.fromiter(first.values(), np.int64)


def _of_rows(
    inference: Inference,
    rows: Tensor,
    reference: Tensor,
    chosen: np.ndarray,
    spec: SampleSpec,
    drawn: np.ndarray | None,
    calibration: Calibration | None,
) -> dict[str, float]:
    """Measure samples, reconstructions and scores, given held-out and training rows ``(n, *shape)``.

    The different ones of the held-out rows are ``chosen``; see `diagnose_module` for the rest.
    """
    module, entries = inference.module, spec.shape[0]
    x = inference.expand(rows)
    real, reference = x[0, :, :entries], reference.to(x)[:, :entries]
    measures: dict[str, float] = {}
    # A row among copies of itself has a neighbourhood of radius 0, which no sample falls into.
    if module.can("sample"):
        measures |= _of_samples(real[chosen], reference, module.sample(len(rows))[:, :, :entries], spec)
        if drawn is not None:
            measures |= {f"generator_{name}": measures[name] for name in ("coverage", "precision")}
            measures |= likeness(_rows(real[chosen]), _rows(reference), [drawn[: len(rows), :entries]])
    if module.can("reconstruct"):
        made = module.reconstruct(x[:, :RECONSTRUCTED_ROWS])[:, :, :entries]
        measures |= _of_reconstructions(real[:RECONSTRUCTED_ROWS], reference, made)
    if calibration is not None:
        measures |= _of_scores(inference, x[0, :RECONSTRUCTED_ROWS], reference, calibration, spec)
    return measures


def _of_samples(real: Tensor, reference: Tensor, fake: Tensor, spec: SampleSpec) -> dict[str, float]:
    """Measure generated samples ``(K, m, *shape)`` beside training samples, against held-out ones."""
    measures = {"diversity": min(diversity(_rows(real), _rows(samples)) for samples in fake)}
    if spec.is_image:
        measures["sharpness"] = sharpness(real, fake)
    if not spec.is_image or spec.shape[0] not in SHOWN_CHANNELS:
        return measures | likeness(_rows(real), _rows(reference), [_rows(samples) for samples in fake])
    # Distances between pixels are no measure of pictures: a blur is closer to most pictures than other pictures are.
    network = pretrained(FEATURE_NETWORK).to(fake)
    of_real, of_reference, *of_fake = (_rows(network.pooled(pictures)) for pictures in (real, reference, *fake))
    return {
        **measures,
        **likeness(of_real, of_reference, of_fake, IN_FEATURES),
        "distinctness": min(distinctness(of_real, rows) for rows in of_fake),
        "frechet_distance": float(np.mean([frechet_distance(of_real, rows) for rows in of_fake])),
        "real_frechet_distance": frechet_distance(of_real, of_reference),
    }


def _of_reconstructions(real: Tensor, reference: Tensor, made: Tensor) -> dict[str, float]:
    """Measure reconstructions ``(K, r, *shape)`` of the rows beside the nearest training sample of each."""
    rows, known, members = _rows(real), _rows(reference), [_rows(samples) for samples in made]
    return {
        "reconstruction_diversity": min(diversity(rows, each) for each in members),
        "explained_variance": min(explained_variance(rows, each, known.mean(0)) for each in members),
        "real_explained_variance": explained_variance(rows, nearest(rows, known), known.mean(0)),
    }


def _of_scores(
    inference: Inference, x: Tensor, reference: Tensor, calibration: Calibration, spec: SampleSpec
) -> dict[str, float]:
    """Measure how well scores, and distances from training pictures and from their mean, find synthetic anomalies."""
    entries = spec.shape[0]
    made = torch.cat([picture_probes(x[:, :entries]), x[:, entries:]], dim=1)
    scores = calibration.combine(inference.score(TensorSamples(made.cpu())))
    ranked = [pictures[:, :entries].flatten(1) for pictures in (made, x)]

    def by_distance(others: Tensor) -> float:
        """Rank by the distance to the nearest one of the other pictures."""
        return ranking_accuracy(*(torch.cdist(each, others.flatten(1)).amin(1)[None] for each in ranked))

    return {
        "probe_accuracy": ranking_accuracy(torch.from_numpy(scores)[None], torch.from_numpy(calibration.scores)[None]),
        "mean_probe_accuracy": by_distance(reference.mean(0, keepdim=True)),
        "real_probe_accuracy": by_distance(reference),
    }


def _rows(x: Tensor) -> np.ndarray:
    """``(B, *shape)`` -> ``(B, d)``."""
    return np.asarray(x.flatten(1).cpu().double().numpy())
