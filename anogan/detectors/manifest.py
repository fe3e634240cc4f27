"""The values that the manifest of a model file holds, and the check that a file holds no others.

The check matters because a manifest can be edited and its digests computed again. A threshold that is a text or NaN
would otherwise fail later, or flag nothing without a word.
"""

from typing import Any, NotRequired, TypedDict, cast

from ..errors import FormatError
from ..schema import Count, Positive, check_type


class Attempt(TypedDict):
    """An entry of `Detector.attempts_`."""

    seed: Count
    learning_rate: float
    generator_learning_rate: float
    kept: bool
    verdict: str


class HeldOut(TypedDict):
    """The fields of `Holdout`."""

    share: float
    rows: int
    seed: int | None
    by: str | None
    first: int | float | str | None
    format: NotRequired[str]  # missing in older files


class FileOfFit(TypedDict):
    """What `said_of` returns."""

    na_values: list[str]
    header: bool
    label: str | None
    normal: str | None


class FittedOn(TypedDict):
    """`Detector.fitted_on_`."""

    samples: Positive
    training: Positive
    watched: Count
    calibration: Positive
    left_out: NotRequired[Positive]
    versions: dict[str, str]
    recalibrated: NotRequired[Positive]
    dependence: NotRequired[float]
    copies: NotRequired[float]
    holdout: NotRequired[HeldOut]
    file: NotRequired[FileOfFit]
    jpeg: NotRequired[bool]  # read by nothing, but older files have it; see `PictureTraits`


class DiagnosisValues(TypedDict):
    """`Detector.diagnosis_`; null stands for a measure that is not finite."""

    healthy: bool
    verdict: str
    measures: dict[str, float | None]
    issues: list[str]
    advice: str
    columns: dict[str, float]


class Manifest(TypedDict):
    """A fitted state without its tensors and its preprocessor, as JSON holds it."""

    parameters: dict[str, bool | int | float | str | dict[str, str] | None]
    n_features_in: Positive | None
    feature_names_in: list[str | int | bool] | None
    network: tuple[str, Positive, Positive]
    threshold: float
    map_threshold: float | None
    map_start: float | None
    held_out: bool
    reference: bool
    diagnosis: DiagnosisValues
    history: dict[str, dict[str, list[int | float | None]]]
    attempts: list[Attempt]
    fitted_on: FittedOn
    background_rows: Count
    digests: Count
    digests_of: Count
    samples_rows: bool


def checked_manifest(values: Any) -> dict[str, Any]:
    """Return the values of a manifest if they are those that `FittedState.to_file` writes.

    Raises
    ------
    FormatError
        A value is missing, unexpected, of another type, or does not fit another one. The message names it.
    """
    check_type(values, Manifest, "manifest")
    parameters, (backbone, members, width) = values["parameters"], values["network"]
    if not isinstance(parameters.get("random_state"), int):
        raise FormatError("manifest.parameters has no random_state, which holds the seed of the fit.")
    for name, used in (("n_members", members), ("width", width)):
        if parameters.get(name) not in (None, used):
            raise FormatError(f"manifest.parameters.{name} is {parameters[name]}, and manifest.network has {used}.")
    if parameters.get("backbone") not in ("auto", backbone):
        raise FormatError(f"manifest.network does not fit the backbone {parameters.get('backbone')!r}.")
    if values["digests"] > values["digests_of"]:
        raise FormatError(f"manifest has {values['digests']} digests of {values['digests_of']} rows.")
    names = values["feature_names_in"]
    if names is not None and len(names) != values["n_features_in"]:
        raise FormatError(f"manifest has {len(names)} feature names for {values['n_features_in']} features.")
    fitted_on = values["fitted_on"]
    if (
        max(fitted_on.get(part, 0) for part in ("training", "watched", "calibration", "left_out"))
        > fitted_on["samples"]
    ):
        raise FormatError("manifest.fitted_on has more samples in a part than in all.")
    return cast(dict[str, Any], values)
