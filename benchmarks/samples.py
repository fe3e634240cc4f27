"""Digits that each kind of GAN makes: contact sheets, and whether a classifier of real digits reads them."""

import base64
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter
from sklearn.svm import SVC

import anogan

from .experiment import Cell, Experiment, Record, measured, names
from .images import MNIST
from .report import table

DIGITS = ("2", "8", "5")
EVERY = "all"  # all digits, where the system is given a condition
MAX_TRAIN = 2000  # pictures
CLASSIFIED = 5000  # real digits that the classifier learns from
NO_DIGIT = 10  # class of pictures that show no digit
AVERAGED, BLUR, NOISE = 4, 5, 64  # pictures in a mean, side of a blur in pixels, standard deviation of noise
MADE = 500  # samples that are classified
SIDE = 8  # pictures in a row and in a column of a sheet
TARGET = 0.9


@dataclass(frozen=True)
class System:
    """A kind of GAN: its detector, parameters, and what it makes (samples, or counterparts of given pictures)."""

    detector: str
    parameters: dict[str, Any] = field(default_factory=dict)
    makes: str = "samples"


FILLS, COUNTERFACTUALS = "fills", "counterfactuals"
SYSTEMS = {
    "vanilla GAN": System("anogan", {"objective": "minimax"}),
    "DCGAN": System("anogan", {"objective": "non_saturating"}),
    "conditional GAN": System("conditional_gan"),
    "WGAN": System("anogan", {"objective": "wasserstein"}),
    "WGAN-GP": System("f_anogan"),
    "progressive growing": System("f_anogan", {"growing": True}),
    "StyleGAN": System("anogan", {"backbone": "style"}),
    "pix2pix": System("pix2pix_inpainting", makes=FILLS),
    "CycleGAN": System("cycle_gan", {"features": "pixels"}, makes=COUNTERFACTUALS),
}


class Samples(Experiment):
    """What each system draws."""

    name = "samples"
    help = "Digits that each kind of GAN makes, and whether a classifier of real digits reads them."
    axes = (names("system", lambda _: list(SYSTEMS)), names("digit", lambda _: DIGITS))

    def cells(self, data_dir: Path, chosen: Any) -> list[Cell]:
        cells = super().cells(data_dir, chosen)
        for cell in cells:
            if SYSTEMS[cell["system"]].detector == "conditional_gan":
                cell["digit"] = EVERY
        return [cell for i, cell in enumerate(cells) if cell not in cells[:i]]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        with np.load(data_dir / MNIST, allow_pickle=False) as content:
            X, y, X_test, y_test = (content[name] for name in ("X_train", "y_train", "X_test", "y_test"))
        rng = np.random.default_rng(0)
        chosen = np.ones(len(X), dtype=bool) if cell["digit"] == EVERY else y == int(cell["digit"])
        rows = rng.permutation(np.flatnonzero(chosen))[:MAX_TRAIN]
        real = rng.permutation(np.flatnonzero(np.isin(y_test, y[rows])))[:MADE]
        others = rng.permutation(np.flatnonzero(~np.isin(y_test, y[rows])))[:MADE]
        reader = classifier(X, y, rng)
        system, began = SYSTEMS[cell["system"]], time.perf_counter()
        detector = fitted(system, X[rows][:, None], y[rows], X_test[others][:, None])
        found: Record = {"detector": system.detector, "fit_s": round(time.perf_counter() - began, 1)}
        given, made, wanted = make(system, detector, X_test[real][:, None], y_test[real], X_test[others][:, None])
        wanted = np.full(len(made), int(cell["digit"])) if wanted is None else wanted
        return found | {
            "read": round(float((reader.predict(_rows(made)) == wanted).mean()), 4),
            "real_read": round(float((reader.predict(_rows(X_test[real])) == y_test[real]).mean()), 4),
            "verdict": detector.diagnosis_.verdict,
            "measures": {name: round(value, 4) for name, value in detector.diagnosis_.measures.items()},
            "sheet": _encoded(sheet(made if given is None else _alternated(given, made))),
        }

    def outcome(self, record: Record) -> str:
        return f"{record['read']:.0%} read"

    def report(self, records: list[Record], folder: Path) -> str:
        rows, sheets = [], []
        for r in measured(records):
            name = f"{self.name}-{r['system'].lower().replace(' ', '-')}-{r['digit']}.png"
            (folder / name).write_bytes(base64.b64decode(r["sheet"]))
            makes = SYSTEMS[r["system"]].makes
            rows.append([r["system"], r["digit"], makes, f"{r['read']:.1%}", f"{r['real_read']:.1%}", r["verdict"]])
            sheets += [f"### {r['system']}, {r['digit']}", f"![{makes} of {r['system']}]({name})"]
        good = sum(r["read"] >= TARGET for r in measured(records))
        about = f"""\
{self.made_by} Each system at its defaults is trained on at most {MAX_TRAIN:,} pictures of one digit of MNIST (the
conditional GAN on all digits, given the label), seed 0. A support vector machine, trained on {CLASSIFIED:,} real
digits and on pictures that are none (means of a few digits, blurs, noise), reads up to {MADE} pictures of each: *read*
is the share that it reads as that digit (as the given label), *real read* the same of real test pictures. pix2pix
fills in the parts of test pictures of the digit that are erased in turn; CycleGAN, with an unlabelled set of other
digits, makes normal counterparts of these. In their sheets each row of given pictures has a row of made ones below it.
{good} of {len(rows)} reach {TARGET:.0%}."""
        head = ["system", "digit", "makes", "read", "real read", "verdict"]
        body = "\n\n".join([fill(" ".join(about.split()), width=119), table(head, rows, texts=3), *sheets])
        return f"# What each GAN draws\n\n{body}"


def classifier(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> SVC:
    """Return a classifier of digits (n, 28, 28) and of pictures that are none, `NO_DIGIT`.

    Without the latter every picture is some digit, also a grey one. They are made of digits: means of a few pictures,
    of the same digit or of any, blurs, and pictures under noise.
    """
    learned = rng.permutation(len(X))[:CLASSIFIED]
    count = len(learned) // 10
    same = np.concatenate([rng.choice(np.flatnonzero(y == digit), (count // 10, AVERAGED)) for digit in range(10)])
    clear = X[rng.choice(learned, count)].astype(float)
    anomalies = [
        X[same].mean(1),
        X[rng.choice(learned, (count, AVERAGED))].mean(1),
        uniform_filter(clear, (0, BLUR, BLUR)),
        np.clip(clear + rng.normal(0, NOISE, clear.shape), 0, 255),
    ]
    pictures = np.concatenate([X[learned], *anomalies])
    digits = np.concatenate([y[learned], np.full(len(pictures) - len(learned), NO_DIGIT)])
    return SVC(C=10).fit(_rows(pictures), digits)


def fitted(system: System, X: np.ndarray, y: np.ndarray, others: np.ndarray) -> anogan.Detector:
    """Return the system's detector, trained on pictures (n, 1, 28, 28)."""
    detector = anogan.detector_class(system.detector)(random_state=0, **system.parameters)
    if system.detector == "conditional_gan":
        return detector.fit(anogan.Conditioned(X, y))
    if detector.uses_unlabeled:
        return detector.fit(X, X_unlabeled=np.concatenate([others, X[: len(others)]]))
    return detector.fit(X)


def make(
    system: System, detector: anogan.Detector, real: np.ndarray, labels: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Return the pictures that are given, those that are made, and what the latter should be read as, if it varies."""
    if system.makes == FILLS:
        return real, detector.reconstruct(real), labels
    if system.makes == COUNTERFACTUALS:
        return others, detector.reconstruct(others), None
    made: Any = detector.sample(MADE, random_state=0)
    if system.detector == "conditional_gan":
        return None, made.X, made.labels.to_numpy()
    return None, made, None


def sheet(pictures: np.ndarray) -> np.ndarray:
    """Return the first pictures (n, 1, h, w) side by side: uint8 (SIDE * h, SIDE * w)."""
    shown = np.clip(np.rint(pictures[: SIDE * SIDE, 0]), 0, 255).astype(np.uint8)
    height, width = shown.shape[1:]
    return shown.reshape(SIDE, SIDE, height, width).transpose(0, 2, 1, 3).reshape(SIDE * height, SIDE * width)


def _alternated(given: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return rows of given pictures, each with the row of its made ones below."""
    count = SIDE * SIDE // 2
    pairs = np.stack([part[:count].reshape(-1, SIDE, *part.shape[1:]) for part in (given, made)], axis=1)
    return pairs.reshape(-1, *given.shape[1:])


def _rows(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1) / 255


def _encoded(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
