"""The constructor parameters that all detectors share."""

from typing import Any

from ..data.scaling import SCALINGS
from ..parameters import Constraint, Parametrised, above, at_least, between, one_of, param


class CommonParameters(Parametrised):
    """Parameters of networks, training, threshold and arithmetic."""

    width: int | None = param(
        None,
        at_least(1, optional=True),
        help="Hidden units (tables, default 128) or channels of the first level (pictures, default 16).",
    )
    backbone: str = param(
        "auto",
        one_of("auto", "mlp", "dcgan", "style"),
        help="Kind of network: mlp for vectors, dcgan for pictures, style for pictures with StyleGAN2's generators; "
        "auto chooses by the data.",
    )
    n_members: int | None = param(
        None,
        at_least(1, optional=True),
        help="Number of networks that are trained side by side and whose scores are averaged (default: 4 on tables, 1 "
        "on pictures).",
    )
    steps: int = param(1000, at_least(1), help="Number of training iterations of each stage.")
    batch_size: int = param(64, at_least(1), help="Number of rows per training iteration.")
    learning_rate: float = param(1e-3, above(0.0), help="Learning rate of Adam.")
    ema_decay: float = param(
        0.99,
        between(0.0, 1.0, open_high=True),
        help="Decay of the moving average of the weights; 0 takes the weights of the last step.",
    )
    patience: int = param(
        5,
        at_least(0),
        help="Validation checks (20 per stage) without improvement after which training stops; 0 never stops. On "
        "pictures a detector with an objective stops early only with a wasserstein one.",
    )
    scaling: str = param("asinh", one_of(*SCALINGS), help="How numeric columns are brought to one scale.")
    columns: dict[Any, str] | None = param(
        None,
        Constraint(dict, optional=True),
        help="Roles of columns of a table, by their names: number, category, date (date:FORMAT with a format as in "
        "strptime), trend (a date of which the time itself is learned too), id or drop (not learned). A column without "
        "a role is read as its values suggest.",
    )
    contamination: float | str = param(
        "auto",
        Constraint(float, 0.0, 0.5, open_low=True, choices=("auto",)),
        help="auto sets the threshold by held-out rows and target_fpr; a number flags that share of the training rows.",
    )
    target_fpr: float = param(
        0.01, between(0.0, 1.0, open_low=True, open_high=True), help="Target false-alarm rate on normal rows."
    )
    calibration_fraction: float = param(
        0.2,
        between(0.0, 1.0, open_low=True, open_high=True),
        help="Share of the rows that is held out of training to set threshold and p-values.",
    )
    keep_rows: int = param(
        1000,
        at_least(0),
        help="Training rows that the model keeps to explain others by similar ones, at most; with 0 it keeps none and "
        "compares with the distribution of each column, and no digests by which it recognises rows of the fit.",
    )
    precision: str = param("float32", one_of("float32", "float64"), help="Number format of all network arithmetic.")
    device: str = param("auto", Constraint(str), help="Device of the networks: auto, cpu, cuda, cuda:1, mps, ...")
    random_state: Any = param(None, at_least(0, optional=True), help="Seed; the same seed gives the same scores.")
