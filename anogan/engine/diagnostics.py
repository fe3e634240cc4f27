"""Diagnosis of a training by held-out normal rows and by its curves."""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import theilslopes

from .degenerate import CONSTANT, EXTREME, HIDDEN
from .history import History

FEWEST_ROWS = 30  # with fewer rows the measures are too coarse
IN_FEATURES = "feature_"  # prefix of the coverage and the precision of pictures
ENOUGH = 0.5  # share of what real rows reach that generated or reconstructed ones, and scores, need
FEW = 0.25  # the same for pictures that are no blurs: small generators of photographs reach 0.35, ten modes 0.2
SHARP = 0.67  # sharpness of samples below which they are blurs; those of small generators of photographs have 0.75
NARROW = 0.25  # diversity or distinctness of samples below which they have collapsed; heavy tails alone can halve it
COLLAPSED_DIVERSITY = 0.1  # diversity of reconstructions below which they have collapsed
DOMINANT, CHANCE = 0.98, 0.6  # ranking accuracy of a critic that has won, and of one at chance
RESOLVED = 0.1  # what synthetic anomalies show must exceed this: two standard errors of their ranking accuracy
IMPROVED = 0.1  # relative fall of the monitor below which training has achieved little
RISEN = 1.5  # mean of the critic's loss, relative to its start, above which training has diverged
FEWEST_STEPS = 100
LATE = 0.25  # the last part of a stage
LATE_SHARE = 0.15  # share of the whole improvement above which its last part shows that training is unfinished

COLLAPSE, UNLIKE, LOSSY, UNINFORMATIVE, WON, AT_CHANCE, DIVERGED, UNDER_TRAINED = (
    "mode collapse",
    "low fidelity",
    "poor reconstructions",
    "uninformative scores",
    "critic won",
    "critic at chance",
    "diverged",
    "under-trained",
)
ADVICE = {
    HIDDEN: "Remove or clip the extreme values of these columns, or choose scaling 'asinh' or 'quantile'.",
    CONSTANT: "Check whether the {values} hold what should tell {unit}s apart, or choose another scaling or detector.",
    EXTREME: "Look at the training {unit}s with the highest scores, and remove them if they are not normal.",
    COLLAPSE: "Lower learning_rate; if samples still collapse, try another random_state or more members.",
    UNLIKE: "Look at some samples, then raise steps, give more data, or change learning_rate or the objective.",
    LOSSY: "Raise steps, or choose another detector.",
    UNINFORMATIVE: "Raise steps, or choose another detector.",
    WON: "Lower critic_steps or learning_rate, regularise the critic (r1_weight, spectral_norm), or take a detector "
    "that reconstructs.",
    AT_CHANCE: "Give more steps, raise critic_steps, or check whether the {values} hold more than noise.",
    DIVERGED: "Lower learning_rate, and check the data for extreme values.",
    UNDER_TRAINED: "Raise steps.",
}
FOR_BLURS = "Raise steps or learning_rate: the samples are blurs, as of a generator that has not learned."
"""Advice in place of that on a collapse, since a lower rate would make it worse."""


@dataclass(frozen=True)
class Diagnosis:
    """How training went.

    Attributes
    ----------
    healthy : bool
    verdict : str
        ``"healthy"``, or the issues with the numbers that show them.
    measures : dict of str to float
        Of generated samples: ``coverage``: share of held-out normal rows with a generated row within the distance of
        their own k-th neighbour, in [0, 1] (Naeem 2020, arXiv:2002.09797, eq. 4); ``precision``: share of generated
        rows within such a distance of a held-out row (Kynkäänniemi 2019, arXiv:1904.06991, eq. 1; for rows far from all
        others it is no larger than for three quarters of the rows); both averaged over members. Training rows in place
        of generated ones have ``real_coverage`` and ``real_precision``, and rows of tables as the generator makes them,
        before values are drawn, ``generator_coverage`` and ``generator_precision``. ``diversity``: mean distance
        between generated rows relative to that between real ones, for the least diverse member.

        Of generated pictures, in the features of a pretrained network averaged over places: ``feature_coverage`` and
        ``feature_precision`` in place of the former, ``frechet_distance`` (0 for equal distributions), and those of
        training pictures with the prefix ``real_``. The Fréchet distance is biased upwards with few pictures. It
        differs from the FID, which is defined on another network, and compares models of the same data.
        ``sharpness``: how much neighbouring pixels differ, relative to real pictures. ``distinctness``: median
        distance to the nearest other generated picture, relative to real pictures, for the least diverse member.

        Of reconstructions, for the worst member: ``reconstruction_diversity``, like ``diversity``;
        ``explained_variance``: 1 minus the mean squared error relative to that of the mean row, at most 1;
        ``real_explained_variance``: that of the nearest one of as many training rows.

        Of synthetic rows, as ``sample`` draws them, beside rows that no training saw: ``column_distance``, the mean of
        ``columns``; ``correlation_error``: mean absolute difference between rank correlations of two columns;
        ``real_vs_synthetic``: AUROC with which gradient boosting tells them from as many real rows (1,024 at most), 0.5
        at best; ``false_alarms_of_synthetic``: share of real rows that a nearest-neighbour detector trained on
        synthetic rows flags at a target of 1 %; ``nearest_ratio``: median distance to the nearest training row,
        relative to that of real rows.

        ``critic_accuracy``: probability that the critic ranks a real row above a generated one, 0.5 at equilibrium.
        ``probe_accuracy``: probability that a score ranks a synthetic anomaly above a held-out picture, 0.5 by chance;
        ``mean_probe_accuracy``: that of the distance from the mean picture; ``real_probe_accuracy``: that of the
        distance to the nearest one of as many training pictures.
    issues : list of str
        Names of the issues: ``"mode collapse"``, ``"low fidelity"``, ``"poor reconstructions"``,
        ``"uninformative scores"``, ``"critic won"``, ``"critic at chance"``, ``"diverged"``, ``"under-trained"``; of
        scores that cannot tell rows apart ``"hidden columns"``, ``"constant scores"``, ``"extreme threshold"``.
    advice : str
        What to do about the first issue.
    columns : dict of str to float
        Of synthetic rows: how far the distribution of each column is from that of rows that no training saw, in [0, 1]:
        total variation distance for categories, Kolmogorov-Smirnov distance for numbers and dates.
    """

    healthy: bool
    verdict: str
    measures: dict[str, float] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    advice: str = ""
    columns: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, issues: dict[str, str], measures: dict[str, float], unit: str = "row") -> "Diagnosis":
        """Return the diagnosis of issues, name -> evidence; without issues it is healthy."""
        verdict = "; ".join(f"{name}: {evidence}" for name, evidence in issues.items()) or "healthy"
        first = next(iter(issues), None)
        advice = FOR_BLURS if first == COLLAPSE and _are_blurs(measures) else ADVICE[first] if first else ""
        advice = advice.format(unit=unit, values="pixels" if unit == "picture" else "columns")
        return cls(not issues, verdict, measures, list(issues), advice)

    @property
    def remediable(self) -> bool:
        """Whether another seed and a lower learning rate may avoid an issue."""
        return DIVERGED in self.issues or (COLLAPSE in self.issues and not _are_blurs(self.measures))

    def better_than(self, other: "Diagnosis") -> bool:
        """Compare by remediable issues, the number of issues, then coverage or reconstruction diversity."""

        def rank(one: Diagnosis) -> tuple[float, ...]:
            compared = ("coverage", f"{IN_FEATURES}coverage", "reconstruction_diversity")
            return (not one.remediable, -len(one.issues), *(one.measures.get(name, 0.0) for name in compared))

        return rank(self) > rank(other)


def diagnose(
    measures: dict[str, float],
    *,
    curves: History,
    steps: int,
    rows: int,
    unit: str = "row",
    expects_equilibrium: bool = True,
    degenerate: dict[str, str] | None = None,
) -> Diagnosis:
    """Diagnose a training by its curves and by what the model makes of held-out rows.

    Parameters
    ----------
    measures : dict of str to float
        Some of `Diagnosis.measures`.
    curves : History
        Curves of the training.
    steps : int
        Budget of a stage.
    rows : int
        How many different rows the measures were computed with.
    unit : str
        What messages call a sample of the data: "row" or "picture".
    expects_equilibrium : bool
        See `GANModule.expects_equilibrium`.
    degenerate : dict or None
        Issues of columns and scores, from `score_issues` and `column_issues`.
    """
    issues = dict(degenerate or {})
    if steps < FEWEST_STEPS:  # the curves are too short for the other issues
        few = f"{steps} steps a stage, where {FEWEST_STEPS} are few"
        return Diagnosis.of(issues | {UNDER_TRAINED: few}, measures, unit)
    checks = {name: curve for name, curve in curves.items() if "monitor" in curve}
    issues |= _divergence(curves) | _samples(measures, unit) | _reconstructions(measures, unit) | _scores(measures)
    issues |= _imbalance(measures, checks, unit, expects_equilibrium=expects_equilibrium) | _undertrained(checks, steps)
    if not issues and rows < FEWEST_ROWS:
        few = f"not assessed: only {rows} different held-out {unit}s, {FEWEST_ROWS} are needed"
        return Diagnosis(True, few)
    return Diagnosis.of(issues, measures, unit)


def _are_blurs(measures: dict[str, float]) -> bool:
    return measures.get("sharpness", 1.0) < SHARP


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


def _samples(measures: dict[str, float], unit: str) -> dict[str, str]:
    """Find samples that are nearly all the same, that leave out many rows, or that are unlike any row.

    What counts as few is measured by what as many training rows reach, so that no limit depends on the kind of data.
    Pictures that are as sharp as real ones may differ more, and those of a score that finds anomalies, in what they
    show: what samples lack does not keep it from finding them.
    """
    coverage, precision, real_coverage, real_precision = _coverage_and_precision(measures)
    sharp = "sharpness" in measures and not _are_blurs(measures)
    spread = min(measures.get(name, 1.0) for name in ("diversity", "distinctness"))
    if sharp and spread >= ENOUGH and _findable(measures) and not _scores(measures):
        return {}
    share = FEW if sharp else ENOUGH
    covers, resembles = coverage >= share * real_coverage, precision >= share * real_precision
    if spread >= NARROW and covers and resembles:
        return {}
    covered = f"cover {coverage:.0%} of the held-out {unit}s (training {unit}s {real_coverage:.0%})"
    if spread < ENOUGH or resembles:
        evidence = f"samples {covered} and spread {measures.get('diversity', 1.0):.0%} as wide"
        if "distinctness" in measures:
            evidence += (
                f"; each lies {measures['distinctness']:.0%} as far from the nearest other one as real {unit}s do"
            )
        return {COLLAPSE: evidence}
    as_sharp = f" and are {measures['sharpness']:.0%} as sharp" if "sharpness" in measures else ""
    few = f"{precision:.0%} of the samples resemble a held-out {unit} ({real_precision:.0%} of training {unit}s)"
    return {UNLIKE: f"{few}; they {covered}{as_sharp}"}


def _coverage_and_precision(measures: dict[str, float]) -> tuple[float, float, float, float]:
    """Return coverage and precision of samples, then of training rows; in features where these are known."""
    prefix = IN_FEATURES if f"{IN_FEATURES}coverage" in measures else ""
    names = (f"{of}{prefix}{name}" for of in ("", "real_") for name in ("coverage", "precision"))
    coverage, precision, real_coverage, real_precision = (measures.get(name, 1.0) for name in names)
    return coverage, precision, real_coverage, real_precision


def _reconstructions(measures: dict[str, float], unit: str) -> dict[str, str]:
    """Find reconstructions that are all alike or worse than training rows are, and scores that find no anomalies."""
    spread = measures.get("reconstruction_diversity", 1.0)
    if spread < COLLAPSED_DIVERSITY:
        return {COLLAPSE: f"reconstructions spread {spread:.0%} as wide as the {unit}s"}
    explained, limit = measures.get("explained_variance", 1.0), measures.get("real_explained_variance", 0.0)
    if explained < ENOUGH * max(limit, 0.0):
        return {
            LOSSY: f"reconstructions explain {explained:.0%} of the variance of held-out {unit}s, "
            f"and the nearest training {unit}s {limit:.0%}"
        }
    return {}


def _scores(measures: dict[str, float]) -> dict[str, str]:
    """Find a score that ranks synthetic anomalies hardly better than chance, or than the distance from the mean does.

    What can be found is what the distance to the nearest training picture finds: some synthetic anomalies, such as
    halves of two pictures that fit together, are nearly normal. Where it finds hardly any, they say nothing.
    """
    found, by_mean = measures.get("probe_accuracy", 1.0), measures.get("mean_probe_accuracy", 0.0)
    findable, baseline = measures.get("real_probe_accuracy", 1.0), max(0.5, by_mean)
    if found >= baseline + ENOUGH * (findable - baseline) or not _findable(measures):
        return {}
    return {
        UNINFORMATIVE: f"synthetic anomalies score above held-out pictures in {found:.0%} of pairs; they lie farther "
        f"from the mean picture in {by_mean:.0%}, and from the nearest training picture in {findable:.0%}"
    }


def _findable(measures: dict[str, float]) -> bool:
    """Whether the nearest training picture tells synthetic anomalies apart, so that a score should, too."""
    by_mean, findable = measures.get("mean_probe_accuracy", 0.0), measures.get("real_probe_accuracy", 0.0)
    return findable >= max(0.5, by_mean) + RESOLVED


def _imbalance(measures: dict[str, float], checks: History, unit: str, *, expects_equilibrium: bool) -> dict[str, str]:
    """Find a critic that has won or is at chance while the generator has learned little.

    The generator has learned enough if its samples or its reconstructions are good, whatever the critic says.
    """
    adversarial = [curve for curve in checks.values() if "critic_accuracy" in curve]
    if not adversarial:
        return {}
    accuracies, monitor = adversarial[0]["critic_accuracy"], adversarial[0]["monitor"]
    accuracy = float(np.mean(accuracies[len(accuracies) // 2 :]))
    if accuracy > DOMINANT and expects_equilibrium:
        issue = WON
    elif accuracy < CHANCE:
        issue = AT_CHANCE
    else:
        return {}
    evidence = f"it tells real from generated {unit}s in {accuracy:.0%} of pairs"
    own = {name: measures.get(f"generator_{name}", measures.get(name, 1.0)) for name in ("coverage", "precision")}
    if _samples(measures | own, unit) | _reconstructions(measures, unit):
        return {issue: evidence}
    judged = "explained_variance" in measures or _coverage_and_precision(measures) != (1.0, 1.0, 1.0, 1.0)
    if not judged and (gain := improvement(monitor)) < IMPROVED:
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
