"""Diagnosis of a training by held-out normal rows and by its curves."""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import theilslopes
from torch import Tensor

from .degenerate import CONSTANT, EXTREME, HIDDEN
from .history import History

NEIGHBOURS = 5
FEWEST_ROWS = 30  # with fewer rows the measures are too coarse
COLLAPSED_COVERAGE = 0.2  # coverage below which the generator may have collapsed
LOW_COVERAGE = 0.5  # coverage below which a critic that has won is an issue
LOW_DIVERSITY = 0.5  # diversity below which samples of collapsed coverage have collapsed
COLLAPSED_DIVERSITY = 0.1  # diversity of samples or reconstructions below which they have collapsed
DOMINANT, CHANCE = 0.98, 0.6  # ranking accuracy of a critic that has won, and of one at chance
IMPROVED = 0.1  # relative fall of the monitor below which training has achieved little
RISEN = 1.5  # mean of the critic's loss, relative to its start, above which training has diverged
FEWEST_STEPS = 100
LATE = 0.25  # the last part of a stage
LATE_SHARE = 0.15  # share of the whole improvement above which its last part shows that training is unfinished

COLLAPSE, WON, AT_CHANCE, DIVERGED, UNDER_TRAINED = (
    "mode collapse",
    "critic won",
    "critic at chance",
    "diverged",
    "under-trained",
)
REMEDIABLE = (COLLAPSE, DIVERGED)
"""Issues that another seed and a lower learning rate may avoid."""
ADVICE = {
    HIDDEN: "Remove or clip the extreme values of these columns, or choose scaling 'asinh' or 'quantile'.",
    CONSTANT: "Check whether the columns hold what should tell rows apart, or choose another scaling or detector.",
    EXTREME: "Look at the training rows with the highest scores, and remove them if they are not normal.",
    COLLAPSE: "Try another random_state, a lower learning_rate, or more members.",
    WON: "Lower critic_steps or learning_rate, regularise the critic (r1_weight, spectral_norm), or take a detector "
    "that reconstructs.",
    AT_CHANCE: "Give more steps, raise critic_steps, or check whether the columns hold more than noise.",
    DIVERGED: "Lower learning_rate, and check the data for extreme values.",
    UNDER_TRAINED: "Raise steps.",
}


@dataclass(frozen=True)
class Diagnosis:
    """How training went.

    Attributes
    ----------
    healthy : bool
    verdict : str
        ``"healthy"``, or the issues with the numbers that show them.
    measures : dict of str to float
        ``coverage``: share of held-out normal rows with a generated row within the distance of their own k-th
        neighbour, in [0, 1] (Naeem 2020, arXiv:2002.09797, eq. 4); ``density``: how many real neighbourhoods a
        generated row falls into, about 1 for a perfect generator (both averaged over members); ``diversity``: mean
        distance between generated rows relative to that between real ones, for the least diverse member;
        ``reconstruction_diversity``: the same for reconstructions of detectors that do not generate samples;
        ``critic_accuracy``: probability that the critic ranks a real row above a generated one, 0.5 at equilibrium.
        Generated pictures also have ``feature_coverage``, ``feature_density`` and ``frechet_distance`` (0 for equal
        distributions) in the features of a pretrained network, averaged over places. The last one is biased upwards
        with few pictures. It differs from the FID, which is defined on another network, and compares models of the same
        data.
    issues : list of str
        Names of the issues: ``"mode collapse"``, ``"critic won"``, ``"critic at chance"``,
        ``"diverged"``, ``"under-trained"``; of scores that cannot tell rows apart ``"hidden columns"``,
        ``"constant scores"``, ``"extreme threshold"``.
    advice : str
        What to do about the first issue.
    """

    healthy: bool
    verdict: str
    measures: dict[str, float] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    advice: str = ""

    @classmethod
    def of(cls, issues: dict[str, str], measures: dict[str, float]) -> "Diagnosis":
        """Return the diagnosis of issues, name -> evidence; without issues it is healthy."""
        verdict = "; ".join(f"{name}: {evidence}" for name, evidence in issues.items()) or "healthy"
        advice = ADVICE[next(iter(issues))] if issues else ""
        return cls(not issues, verdict, measures, list(issues), advice)

    @property
    def remediable(self) -> bool:
        """Whether another attempt may avoid an issue."""
        return any(issue in REMEDIABLE for issue in self.issues)

    def better_than(self, other: "Diagnosis") -> bool:
        """Compare by remediable issues, then the number of issues, then coverage or reconstruction diversity."""

        def rank(one: Diagnosis) -> tuple[float, ...]:
            return (
                not one.remediable,
                -len(one.issues),
                *(one.measures.get(k, 0.0) for k in ("coverage", "reconstruction_diversity")),
            )

        return rank(self) > rank(other)


def coverage_and_density(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Return coverage in [0, 1] and density >= 0 of generated rows ``(m, d)`` against real rows ``(n, d)``, n > k."""
    from sklearn.neighbors import NearestNeighbors  # imported here, since it loads a large part of scikit-learn

    k = min(k, len(real) - 1)
    index = NearestNeighbors().fit(real)
    radius = index.kneighbors(real, k + 1)[0][:, -1]  # each row is its own first neighbour
    nearest_fake = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)[0][:, 0]
    distance = np.sqrt(
        np.maximum((real**2).sum(1)[:, None] + (fake**2).sum(1)[None] - 2 * real @ fake.T, 0.0)
    )  # (n, m)
    inside = (distance <= radius[:, None]).sum(0)  # real neighbourhoods around each generated row
    return float((nearest_fake <= radius).mean()), float(inside.mean() / k)


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the Fréchet distance between the normal distributions fitted to rows ``(n, d)`` and ``(m, d)``, >= 0.

    Heusel 2017 (arXiv:1706.08500), eq. 6: ``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))``.
    """
    difference = real.mean(0) - fake.mean(0)
    a, b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (real, fake))
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # S S' has the eigenvalues of the symmetric S^(1/2) S' S^(1/2).
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return float(max(difference @ difference + np.trace(a) + np.trace(b) - 2 * overlap, 0.0))


def ranking_accuracy(real_logit: Tensor, fake_logit: Tensor) -> float:
    """Return P(real logit > generated logit) over all pairs, ties count half: ``(K, B), (K, B)`` -> [0, 1]."""
    fake = fake_logit.sort(-1).values
    below, up_to = (torch.searchsorted(fake, real_logit.contiguous(), right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * fake.shape[-1])


def diversity(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the mean distance between generated rows ``(m, d)`` relative to that between real rows ``(n, d)``."""
    spread = pdist(real).mean()
    return float(pdist(fake).mean() / spread) if spread else 1.0


def diagnose(
    real: np.ndarray,
    *,
    fake: np.ndarray | None = None,
    reconstructed: np.ndarray | None = None,
    features: tuple[np.ndarray, np.ndarray] | None = None,
    logits: tuple[Tensor, Tensor] | None = None,
    curves: History,
    steps: int,
    expects_equilibrium: bool = True,
    degenerate: dict[str, str] | None = None,
) -> Diagnosis:
    """Diagnose a training by its curves and by what the model generates.

    Parameters
    ----------
    real : (n, d)
        Held-out rows.
    fake : (K, m, d) or None
        Generated rows of each member.
    reconstructed : (K, r, d) or None
        Reconstructions of the first r rows of `real`, for detectors that do not generate samples.
    features : (n, F) and (m, F), or None
        Features of real pictures and of the first member's samples in a pretrained network.
    logits : two of (K, B), or None
        The critic's logits of real and of generated rows.
    curves : History
        Curves of the training.
    steps : int
        Budget of a stage.
    expects_equilibrium : bool
        See `GANModule.expects_equilibrium`.
    degenerate : dict or None
        Issues of columns and scores, from `score_issues` and `column_issues`.
    """
    issues = dict(degenerate or {})
    # A row among copies of itself has a neighbourhood of radius 0, which no sample falls into.
    different, chosen = np.unique(real, axis=0, return_index=True)
    measures: dict[str, float] = {}
    if len(different) >= FEWEST_ROWS:
        if fake is not None:
            shares = [coverage_and_density(different, rows) for rows in fake]
            measures["coverage"], measures["density"] = np.mean(shares, axis=0).tolist()
            measures["diversity"] = min(diversity(real, rows) for rows in fake)
        if features is not None:
            seen, generated = features[0][chosen], features[1]
            measures["feature_coverage"], measures["feature_density"] = coverage_and_density(seen, generated)
            measures["frechet_distance"] = frechet_distance(seen, generated)
        if reconstructed is not None:
            originals = real[: reconstructed.shape[1]]
            measures["reconstruction_diversity"] = min(diversity(originals, rows) for rows in reconstructed)
        if logits is not None:
            measures["critic_accuracy"] = ranking_accuracy(*logits)
    if steps < FEWEST_STEPS:  # the curves are too short for the other issues
        few = f"{steps} steps a stage, where {FEWEST_STEPS} are few"
        return Diagnosis.of(issues | {UNDER_TRAINED: few}, measures)
    checks = {name: curve for name, curve in curves.items() if "monitor" in curve}
    issues |= _divergence(curves) | _collapse(measures)
    issues |= _imbalance(measures, checks, expects_equilibrium) | _undertrained(checks, steps)
    if not issues and len(different) < FEWEST_ROWS:
        few = f"not assessed: only {len(different)} different held-out rows, {FEWEST_ROWS} are needed"
        return Diagnosis(True, few)
    return Diagnosis.of(issues, measures)


def _divergence(curves: History) -> dict[str, str]:
    """Find a stage whose critic's loss has risen."""
    for name, curve in curves.items():
        if rise := risen(curve):
            return {
                DIVERGED: f"the critic's loss is {rise[1]:.3g} on average in stage '{name}', {rise[0]:.3g} at first"
            }
    return {}


def _undertrained(checks: History, steps: int) -> dict[str, str]:
    """Find a stage that still improved when its budget was spent."""
    for name, curve in checks.items():
        if curve["step"][-1] == steps and (share := late_share(curve["monitor"])) > LATE_SHARE:
            stage = name.partition("/")[0]
            return {UNDER_TRAINED: f"stage '{stage}' makes {share:.0%} of its progress in its last quarter"}
    return {}


def _collapse(measures: dict[str, float]) -> dict[str, str]:
    """Find samples or reconstructions that are nearly all the same, or leave most rows without a sample nearby."""
    coverage, spread = measures.get("coverage", 1.0), measures.get("diversity", 1.0)
    if spread < COLLAPSED_DIVERSITY or (coverage < COLLAPSED_COVERAGE and spread < LOW_DIVERSITY):
        return {COLLAPSE: f"samples cover {coverage:.0%} of the held-out rows and spread {spread:.0%} as wide"}
    spread = measures.get("reconstruction_diversity", 1.0)
    if spread < COLLAPSED_DIVERSITY:
        return {COLLAPSE: f"reconstructions spread {spread:.0%} as wide as the rows"}
    return {}


def _imbalance(measures: dict[str, float], checks: History, expects_equilibrium: bool) -> dict[str, str]:
    """Find a critic that has won or is at chance while the generator has learned little."""
    adversarial = [curve for curve in checks.values() if "critic_accuracy" in curve]
    if not adversarial:
        return {}
    accuracies, monitor = adversarial[0]["critic_accuracy"], adversarial[0]["monitor"]
    accuracy = float(np.mean(accuracies[len(accuracies) // 2 :]))
    if accuracy > DOMINANT and expects_equilibrium:
        issue, least = WON, LOW_COVERAGE
    elif accuracy < CHANCE:
        issue, least = AT_CHANCE, COLLAPSED_COVERAGE
    else:
        return {}
    evidence = f"it tells real from generated rows in {accuracy:.0%} of pairs"
    if (coverage := measures.get("coverage", 1.0)) < least:
        return {issue: f"{evidence}, and samples cover {coverage:.0%} of the held-out rows"}
    if (gain := improvement(monitor)) < IMPROVED:
        return {issue: f"{evidence}, and the monitor fell by {gain:.0%} only"}
    return {}


def improvement(monitor: list[float]) -> float:
    """Return the largest fall of a monitor relative to its first value: at most 1 (0 if that is not positive)."""
    return 1 - min(monitor) / monitor[0] if monitor[0] > 0 else 0.0


def late_share(monitor: list[float]) -> float:
    """Return the fall of a monitor in the last quarter of its checks, relative to its whole fall.

    The late fall is computed from the slope of Theil and Sen (the median of the slopes between all pairs). It is 0
    unless the 95 % confidence interval of the slope is negative.
    """
    late = monitor[-max(round(LATE * len(monitor)), 5) - 1 :]
    whole = monitor[0] - min(monitor)
    if whole <= 0 or len(late) < 6:
        return 0.0
    slope, _, _, upper = theilslopes(late)
    return float(-slope * LATE * len(monitor) / whole) if upper < 0 else 0.0


def risen(curve: dict[str, list[float]]) -> tuple[float, float] | None:
    """Return the first value and the mean of a critic's loss if it has risen, otherwise None."""
    terms = [
        values for name, values in curve.items() if name.startswith("critic") and not name.endswith("/gradient_norm")
    ]
    if not terms or "monitor" in curve:
        return None
    loss = np.sum(terms, axis=0)
    return (loss[0], loss.mean()) if loss.mean() > RISEN * max(loss[0], 1.0) else None
