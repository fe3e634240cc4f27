"""What the user should know of a threshold: too few rows set it, or unusual ones or copies do."""

from pathlib import Path

import numpy as np

from ..data.digests import RowDigests
from ..files.writing import as_text
from ..scoring.calibration import Calibration
from ..sources.notes import FileNote, in_words_of
from .calibrating import ThresholdParameters
from .preparing import FEWEST_ROWS_TO_HOLD_OUT, FittableDetector, Prepared

CALIBRATION_WAYS = "calibration_fraction or target_fpr"  # to a rate that few rows can keep
HIGH = 0.9  # quantile of normal scores by whose distance from their median unusual scores are recognised
APART = 3.0  # such distances from the median, beyond which a picture is unusual
NAMED, FEWEST_NAMED = 20, 30  # unusual pictures that are named, of so many at least
MOST_REPEATED = 0.05  # share of pictures that equal others


def threshold_doubts(
    calibration: Calibration,
    scores: np.ndarray,
    rows: np.ndarray,
    detector: FittableDetector,
    prepared: Prepared,
    *,
    left_out: bool,
) -> list[FileNote]:
    """Return what the user should know of the threshold of a training.

    Parameters
    ----------
    calibration : Calibration
    scores : (m,)
        Of the rows that set the threshold.
    rows : (m,) int
        Their positions among the samples of the fit.
    detector : FittableDetector
    prepared : Prepared
    left_out : bool
        Whether some of them are training rows that were scored as if they had been left out.
    """
    is_image = prepared.preprocessor.spec_.is_image
    doubts: list[str] = []
    if not calibration.held_out and detector.contamination == "auto":
        doubts.append(
            f"Only {len(prepared.samples)} rows: none is held out, so threshold and p-values come from the training "
            f"rows and are too optimistic. Give at least {FEWEST_ROWS_TO_HOLD_OUT}."
        )
    if few := too_few_rows(len(scores), detector, "target_fpr" if left_out else CALIBRATION_WAYS):
        doubts.append(few)
    notes = [FileNote(in_words_of(doubt, is_image=is_image)) for doubt in doubts]
    if copies := prepared.fitted_on.get("copies"):
        notes.append(_note_of_copied_rows(copies, len(scores)))
    if dependence := prepared.fitted_on.get("dependence"):
        notes.append(_note_of_dependence(dependence, is_image=is_image))
    if left_out and is_image and len(scores) >= FEWEST_NAMED:
        apart = rows[_unusual(scores, calibration.threshold)]
        if len(apart):
            notes.append(_note_of_unusual(calibration, apart, prepared.files))
    return notes


def too_few_rows(rows: int, parameters: ThresholdParameters, alternatives: str) -> str | None:
    """Return a warning if so many calibration rows cannot keep the target false-alarm rate, otherwise None.

    Parameters
    ----------
    rows : int
    parameters : ThresholdParameters
    alternatives : str
        What a user can raise instead of giving more rows.
    """
    smallest = 1 / (rows + 1)
    if parameters.contamination != "auto" or smallest <= parameters.target_fpr:
        return None
    needed = int(np.ceil(1 / parameters.target_fpr)) - 1
    return (
        f"target_fpr={parameters.target_fpr:g} cannot be kept: with {rows} calibration rows the smallest rate is "
        f"{smallest:.2g}. The threshold is the highest of their scores, so a single unusual one can hide anomalies. "
        f"It takes {needed:,}: give more rows, or raise {alternatives}."
    )


def note_of_copies(digests: RowDigests) -> FileNote | None:
    """Return what the user should know of copies among the pictures of a fit, if they are more than a few."""
    if digests.repeated <= MOST_REPEATED:
        return None
    return FileNote(
        f"{digests.repeated:.0%} of the pictures equal another one. Copies that set the threshold were seen in "
        "training, so that it is too low for new pictures: leave copies out."
    )


def _note_of_copied_rows(share: float, different: int) -> FileNote:
    """Return that copies of rows were held out together, and how many different rows set the threshold."""
    advice = "Leave copies out if they mean nothing; if new rows repeat these too, {}."
    return FileNote(
        f"{share:.0%} of the rows repeat others, as after a join or a forward fill. All copies of a row were either "
        "learned or held out, since a threshold from rows that were also learned is too low, and the "
        f"{different:,} different rows that were held out set it.",
        advice.format("give fit(..., independent=True)"),
        advice.format("give --independent"),
    )


def _note_of_dependence(share: float, *, is_image: bool) -> FileNote:
    """Return that blocks of rows were held out, since rows that follow each other are alike."""
    seen = (
        f"Rows that follow each other are alike: if blocks of them are left out, {share:.0%} of the rows lie farther "
        "from the others than 95% of rows that are left out at random. If they come in groups, such as several rows of "
        "one part or person, rows of new groups are unlike those that were learned, so blocks of rows were held out to "
        "set a threshold for these, which is rough."
    )
    advice = (
        "Recalibrate with rows of new groups; if the rows are only sorted, or new rows are of the same groups, give {}."
    )
    words = (seen, advice.format("fit(..., independent=True)"), advice.format("--independent"))
    seen, python, shell = (in_words_of(text, is_image=is_image) for text in words)
    return FileNote(seen, python, shell)


def _unusual(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return the numbers of the scores ``(m,)`` far above the others, highest first, if they set the threshold."""
    median, high = np.quantile(scores, [0.5, HIGH])
    limit = median + APART * (high - median)
    order = np.argsort(-scores)
    return order[scores[order] > limit] if threshold > limit else order[:0]


def _note_of_unusual(calibration: Calibration, apart: np.ndarray, files: list[Path] | None) -> FileNote:
    """Return which pictures, whose numbers are ``apart``, set the threshold, and where it would lie without them."""
    names = [str(number) if files is None else _name_of(files, number) for number in apart]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    scores, threshold = calibration.scores, calibration.threshold
    share = np.ceil(1000 * len(apart) / (len(scores) - 1)) / 1000  # the quantile between n scores has n - 1 steps
    lower = np.percentile(scores, 100 * (1 - share))
    others = f"Leave out what is not good, or set the threshold without them, to {lower:.3g} instead of {threshold:.3g}"
    return FileNote(
        f"{len(apart)} of {len(scores):,} pictures {'is' if len(apart) == 1 else 'are'} so unusual as to set "
        f"the threshold, which hides anomalies: {', '.join(names[:NAMED])}{more}.",
        f"{others}, by contamination={share:g}.",
        f"{others}, by --contamination {share:g}.",
    )


def _name_of(files: list[Path], number: int) -> str:
    """Return the name of a picture's file, with that of its folder if there are several folders."""
    file = files[number]
    several = any(other.parent != file.parent for other in files)
    return as_text(f"{file.parent.name}/{file.name}" if several else file.name)
