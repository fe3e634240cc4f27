"""Words on whether training went well, from held-out normal rows and from the curves."""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import theilslopes
from torch import Tensor

from .history import History

NEIGHBOURS = 5
FEWEST_ROWS = 30  # below it the shares are too coarse to say anything
COLLAPSED = 0.2  # coverage below this is too little
LACKING = 0.5  # coverage below this is no success either
ALIKE = 0.5, 0.1  # spread of samples (of little coverage), and of reconstructions, relative to that of the data
DOMINANT, CHANCE = 0.98, 0.6  # ranking accuracy of a critic that has won, and of one that tells nothing
IMPROVED = 0.1  # share of the monitor's first value that it should lose
RISEN = 1.5  # mean of the critic's loss, relative to its start, above which training is called diverged
FEWEST_STEPS = 100
LATE, LATE_SHARE = 0.25, 0.15  # of the budget at its end, and of the whole improvement, made then at the present pace

COLLAPSE, WON, AT_CHANCE, DIVERGED, UNDER_TRAINED = (
    "mode collapse",
    "critic won",
    "critic at chance",
    "diverged",
    "under-trained",
)
REMEDIABLE = (COLLAPSE, DIVERGED)
"""What another seed and a lower rate may mend; the others would end in the same way, or want more of the same."""
ADVICE = {
    COLLAPSE: "Try another random_state, a lower learning_rate, or more members.",
    WON: "Lower critic_steps or learning_rate, regularise the critic (r1_weight, spectral_norm), or take a detector "
    "that reconstructs.",
    AT_CHANCE: "Give more steps, raise critic_steps, or look whether the columns hold more than noise.",
    DIVERGED: "Lower learning_rate, and look for extreme values in the data.",
    UNDER_TRAINED: "Raise steps.",
}


@dataclass(frozen=True)
class Diagnosis:
    """How training went.

    Attributes
    ----------
    healthy : bool
    verdict : str
        ``"healthy"``, or what is wrong and by which numbers that shows.
    measures : dict of str to float
        ``coverage``: share of held-out normal rows with a generated row within the distance of their own k-th
        neighbour, in [0, 1] (Naeem 2020, arXiv:2002.09797, eq. 4); ``density``: how many real neighbourhoods a
        generated row falls into, about 1 for a perfect generator (both averaged over members); ``diversity``: mean
        distance between generated rows relative to that between real ones, of the member with the least;
        ``reconstruction_diversity``: the same of reconstructions, for methods that do not generate;
        ``critic_accuracy``: probability that the critic ranks a real row above a generated one, 0.5 at equilibrium.
        For generated pictures also, in the features of a pretrained network averaged over places:
        ``feature_coverage``, ``feature_density``, and ``frechet_distance``, 0 for equal distributions. It is biased
        upwards with few pictures, and no FID, which is defined on another network: it compares models of the same data.
    issues : list of str
        Those of the verdict in a word each: ``"mode collapse"``, ``"critic won"``, ``"critic at chance"``,
        ``"diverged"``, ``"under-trained"``.
    advice : str
        What to do about the first of them.
    """

    healthy: bool
    verdict: str
    measures: dict[str, float] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    advice: str = ""

    @classmethod
    def of(cls, issues: dict[str, str], measures: dict[str, float]) -> "Diagnosis":
        """The issues with their evidence in words; none is healthy."""
        verdict = "; ".join(f"{name}: {evidence}" for name, evidence in issues.items()) or "healthy"
        advice = ADVICE[next(iter(issues))] if issues else ""
        return cls(not issues, verdict, measures, list(issues), advice)

    @property
    def remediable(self) -> bool:
        """Whether another attempt may be better."""
        return any(issue in REMEDIABLE for issue in self.issues)

    def better_than(self, other: "Diagnosis") -> bool:
        """By no remediable issue, then fewer of all, then what samples cover or how far reconstructions spread."""

        def rank(one: Diagnosis) -> tuple[float, ...]:
            return (
                not one.remediable,
                -len(one.issues),
                *(one.measures.get(k, 0.0) for k in ("coverage", "reconstruction_diversity")),
            )

        return rank(self) > rank(other)


def coverage_and_density(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Coverage in [0, 1] and density >= 0 of generated rows ``(m, d)`` against real rows ``(n, d)``, n > k."""
    from sklearn.neighbors import NearestNeighbors  # imported here, since it loads a large part of scikit-learn

    k = min(k, len(real) - 1)
    index = NearestNeighbors().fit(real)
    radius = index.kneighbors(real, k + 1)[0][:, -1]  # the row itself is its own first neighbour
    nearest_fake = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)[0][:, 0]
    distance = np.sqrt(
        np.maximum((real**2).sum(1)[:, None] + (fake**2).sum(1)[None] - 2 * real @ fake.T, 0.0)
    )  # (n, m)
    inside = (distance <= radius[:, None]).sum(0)  # real neighbourhoods around each generated row
    return float((nearest_fake <= radius).mean()), float(inside.mean() / k)


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance between the normal distributions fitted to rows ``(n, d)`` and ``(m, d)``, >= 0.

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
    """P(real logit > generated logit) over all pairs of a member, ties count half: ``(K, B), (K, B)`` -> [0, 1]."""
    fake = fake_logit.sort(-1).values
    below, up_to = (torch.searchsorted(fake, real_logit.contiguous(), right=right) for right in (False, True))
    return float((below + up_to).double().mean()) / (2 * fake.shape[-1])


def diversity(real: np.ndarray, made: np.ndarray) -> float:
    """Mean distance between rows made ``(m, d)`` relative to that between real ones ``(n, d)``; 0: all are the same."""
    spread = pdist(real).mean()
    return float(pdist(made).mean() / spread) if spread else 1.0


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
) -> Diagnosis:
    """Put what a trained model makes, and the curves of its training, into a verdict.

    Parameters
    ----------
    real : (n, d)
        Held-out rows.
    fake : (K, m, d) or None
        Generated rows of each member.
    reconstructed : (K, r, d) or None
        The first r rows of `real`, by a method that does not generate.
    features : (n, F) and (m, F), or None
        Of real pictures and of the first member's in a pretrained network.
    logits : two of (K, B), or None
        The critic's, of real and of generated rows.
    curves : History
        Of the training.
    steps : int
        Budget of a stage.
    expects_equilibrium : bool
        See `GANModule.expects_equilibrium`.
    """
    # A row among its own copies has no neighbourhood that a sample could fall into.
    different, chosen = np.unique(real, axis=0, return_index=True)
    measures: dict[str, float] = {}
    if len(different) >= FEWEST_ROWS:
        if fake is not None:
            shares = [coverage_and_density(different, rows) for rows in fake]
            measures["coverage"], measures["density"] = np.mean(shares, axis=0).tolist()
            measures["diversity"] = min(diversity(real, rows) for rows in fake)
        if features is not None:
            seen, made = features[0][chosen], features[1]
            measures["feature_coverage"], measures["feature_density"] = coverage_and_density(seen, made)
            measures["frechet_distance"] = frechet_distance(seen, made)
        if reconstructed is not None:
            of = real[: reconstructed.shape[1]]
            measures["reconstruction_diversity"] = min(diversity(of, rows) for rows in reconstructed)
        if logits is not None:
            measures["critic_accuracy"] = ranking_accuracy(*logits)
    if steps < FEWEST_STEPS:  # and little can be said of the rest
        few = f"{steps} steps a stage, where {FEWEST_STEPS} are few"
        return Diagnosis.of({UNDER_TRAINED: few}, measures)
    looks = {name: curve for name, curve in curves.items() if "monitor" in curve}
    issues = _divergence(curves) | _collapse(measures)
    issues |= _imbalance(measures, looks, expects_equilibrium) | _undertrained(looks, steps)
    if not issues and len(different) < FEWEST_ROWS:
        few = f"not assessed: only {len(different)} different held-out rows, {FEWEST_ROWS} are needed"
        return Diagnosis(True, few)
    return Diagnosis.of(issues, measures)


def _divergence(curves: History) -> dict[str, str]:
    for name, curve in curves.items():
        if rise := risen(curve):
            return {
                DIVERGED: f"the critic's loss is {rise[1]:.3g} on average in stage '{name}', {rise[0]:.3g} at first"
            }
    return {}


def _undertrained(looks: History, steps: int) -> dict[str, str]:
    """A stage that was not over when its budget was."""
    for name, curve in looks.items():
        if curve["step"][-1] == steps and (share := late_share(curve["monitor"])) > LATE_SHARE:
            stage = name.partition("/")[0]
            return {UNDER_TRAINED: f"stage '{stage}' makes {share:.0%} of its progress in its last quarter"}
    return {}


def _collapse(measures: dict[str, float]) -> dict[str, str]:
    """Samples that are all alike, or so many of them that most rows have none near."""
    coverage, spread = measures.get("coverage", 1.0), measures.get("diversity", 1.0)
    if spread < ALIKE[1] or (coverage < COLLAPSED and spread < ALIKE[0]):
        return {COLLAPSE: f"samples cover {coverage:.0%} of the held-out rows and spread {spread:.0%} as wide"}
    spread = measures.get("reconstruction_diversity", 1.0)
    if spread < ALIKE[1]:
        return {COLLAPSE: f"reconstructions spread {spread:.0%} as wide as the rows"}
    return {}


def _imbalance(measures: dict[str, float], looks: History, expects_equilibrium: bool) -> dict[str, str]:
    """A game that one side has won, and that taught the generator little."""
    games = [curve for curve in looks.values() if "critic_accuracy" in curve]
    if not games:
        return {}
    accuracies, monitor = games[0]["critic_accuracy"], games[0]["monitor"]
    accuracy = float(np.mean(accuracies[len(accuracies) // 2 :]))
    if accuracy > DOMINANT and expects_equilibrium:
        issue, least = WON, LACKING
    elif accuracy < CHANCE:
        issue, least = AT_CHANCE, COLLAPSED
    else:
        return {}
    told = f"it tells real from generated rows in {accuracy:.0%} of pairs"
    if (coverage := measures.get("coverage", 1.0)) < least:
        return {issue: f"{told}, and samples cover {coverage:.0%} of the held-out rows"}
    if (gain := improvement(monitor)) < IMPROVED:
        return {issue: f"{told}, and the monitor fell by {gain:.0%} only"}
    return {}


def improvement(monitor: list[float]) -> float:
    """By which share of its first value a monitor fell, at best: at most 1 (0 if it is not positive)."""
    return 1 - min(monitor) / monitor[0] if monitor[0] > 0 else 0.0


def late_share(monitor: list[float]) -> float:
    """How much of its whole fall a monitor falls in the last quarter of its looks, at its pace there.

    The pace is Theil and Sen's (the median of the slopes between all pairs), 0 unless 95 % of the evidence is for a
    fall.
    """
    late = monitor[-max(round(LATE * len(monitor)), 5) - 1 :]
    whole = monitor[0] - min(monitor)
    if whole <= 0 or len(late) < 6:
        return 0.0
    slope, _, _, upper = theilslopes(late)
    return float(-slope * LATE * len(monitor) / whole) if upper < 0 else 0.0


def risen(curve: dict[str, list[float]]) -> tuple[float, float] | None:
    """First value and mean of a critic's loss that has risen, which one that learns does not; None if it has not."""
    terms = [
        values for name, values in curve.items() if name.startswith("critic") and not name.endswith("/gradient_norm")
    ]
    if not terms or "monitor" in curve:
        return None
    loss = np.sum(terms, axis=0)
    return (loss[0], loss.mean()) if loss.mean() > RISEN * max(loss[0], 1.0) else None
