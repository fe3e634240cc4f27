"""Whether trainings on pictures that are bad are diagnosed as bad, and those that detect well as healthy."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn.functional import avg_pool2d
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

import anogan
from anogan import metrics

from .experiment import Cell, Experiment, Record, measured, names
from .images import CIFAR10, MNIST, SIZE, grey_pictures, mvtec_folders
from .report import table

MAX_TRAIN, MAX_TEST = 2000, 500
NEIGHBOURS = 5
BLUR = 11  # pixels of the side of the square that each pixel of a grey blob is the mean of
CIFAR10_CLASSES = {"cars": 1, "birds": 2, "cats": 3, "deer": 4}

AS_IS, RATES, BAD = "at defaults", "at other rates", "made bad"


@dataclass(frozen=True)
class Case:
    """A training: parameters, what is done to the generator, and whether that makes it bad for certain."""

    kind: str  # AS_IS, RATES or BAD
    detectors: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    constant: bool = False
    blurred: bool = False
    latent_share: float = 1.0
    modes: int = 0
    generator_rate: float = 1.0  # as a multiple of the common one
    critic_rate: float = 1.0


GENERATIVE = ("anogan", "f_anogan")
EVERY = ("f_anogan", "anogan", "wgan_gp", "ganomaly", "skip_ganomaly", "pix2pix_inpainting", "cycle_gan", "feature_gan")
SHORT = {"steps": 400}
CASES = {
    "as it is": Case(AS_IS, EVERY),
    "in pixels": Case(AS_IS, ("cycle_gan",), {"features": "pixels"}),
    "hinge loss for 400 steps": Case(BAD, ("anogan",), SHORT | {"objective": "hinge"}),
    "100 steps": Case(BAD, (*GENERATIVE, "ganomaly"), {"steps": 100}),
    "constant generator": Case(BAD, (*GENERATIVE, "ganomaly"), SHORT, constant=True),
    "one mode": Case(BAD, GENERATIVE, latent_share=0.05),
    "ten pictures": Case(BAD, GENERATIVE, modes=10),
    "grey blobs": Case(BAD, GENERATIVE, SHORT, blurred=True),
    "minimax loss for 400 steps": Case(BAD, ("anogan",), SHORT | {"objective": "minimax"}),
    "weight clipping for 400 steps": Case(BAD, ("anogan",), SHORT | {"objective": "wasserstein"}),
    "generator at 10 times the rate": Case(RATES, GENERATIVE, generator_rate=10.0),
    "generator at 20 times the rate": Case(RATES, GENERATIVE, generator_rate=20.0),
    "critic at 10 times the rate": Case(RATES, GENERATIVE, critic_rate=10.0),
    "critic at 20 times the rate": Case(RATES, GENERATIVE, critic_rate=20.0),
    "both at 10 times the rate": Case(RATES, GENERATIVE, {"learning_rate": 1e-2}),
    "both at 20 times the rate": Case(RATES, GENERATIVE, {"learning_rate": 2e-2}),
}


@contextmanager
def altered(cls: type[anogan.Detector], case: Case) -> Iterator[None]:
    """Let networks of the class be altered as the case says, in this block."""
    rates: dict[int, float] = {}  # of the weights with this id
    build = cls.build

    def one_mode(generator: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None if generator.training else (given[0] * case.latent_share, *given[1:])

    def constant(_: nn.Module, __: Any, out: torch.Tensor) -> torch.Tensor:
        return out * 0 + out.mean(1, keepdim=True)  # every picture of a batch is the same

    def blurred(_: nn.Module, __: Any, out: torch.Tensor) -> torch.Tensor:
        return avg_pool2d(out.flatten(0, 1), BLUR, 1, BLUR // 2).unflatten(0, out.shape[:2])

    def repeat(module: Any) -> None:
        """Let the module draw few different latents once it is trained; reconstructions stay as they are."""
        draw = module.latent

        def few(rows: int) -> torch.Tensor:
            z: torch.Tensor = draw(rows)
            return z if module.training else z[:, torch.arange(rows) % case.modes]

        module.latent = few

    def speed_up(optimizer: Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        if (rate := rates.get(id(group["params"][0]))) and "sped_up" not in group:
            group |= {"sped_up": True, "lr": rate * group["lr"]}

    def built(self: anogan.Detector, backbone: Any) -> Any:
        module: Any = build(self, backbone)
        generator: nn.Module = getattr(module, "generator" if hasattr(module, "generator") else "decoder")
        for network, rate in ((generator, case.generator_rate), (module.critic, case.critic_rate)):
            rates.update((id(weight), rate) for weight in network.parameters())
        if case.latent_share < 1:
            generator.register_forward_pre_hook(one_mode)
        if case.constant:
            generator.register_forward_hook(constant)
        if case.blurred:
            generator.register_forward_hook(blurred)
        if case.modes:
            repeat(module)
        return module

    handle = register_optimizer_step_pre_hook(speed_up)
    try:
        with patch.object(cls, "build", build if case.kind == AS_IS else built):
            yield
    finally:
        handle.remove()


Pictures = tuple[np.ndarray, np.ndarray, np.ndarray]  # of training (n, C, h, w), of the test, which are anomalies


def _digits(digit: int | None, data_dir: Path) -> Pictures:
    """Return one digit and others; or all digits and, as anomalies, digits that are turned by 90 degrees."""
    with np.load(data_dir / MNIST, allow_pickle=False) as content:
        X, y, X_test, y_test = (content[name] for name in ("X_train", "y_train", "X_test", "y_test"))
    rng = np.random.default_rng(0)
    tested = rng.permutation(len(X_test))[:MAX_TEST]
    X_test, y_test = X_test[tested], y_test[tested]
    if digit is not None:
        return rng.permutation(X[y == digit])[:MAX_TRAIN, None], X_test[:, None], y_test != digit
    turned = np.arange(len(X_test)) % 2 == 1
    X_test[turned] = np.rot90(X_test[turned], axes=(1, 2))
    return rng.permutation(X)[:MAX_TRAIN, None], X_test[:, None], turned


def _cifar(number: int, data_dir: Path) -> Pictures:
    parts = []
    for part, file in zip(("train", "test"), CIFAR10, strict=True):
        with np.load(data_dir / file, allow_pickle=False) as content:
            parts.append((content[f"X_{part}"].transpose(0, 3, 1, 2), content[f"y_{part}"]))
    (X, y), (X_test, y_test) = parts
    return X[y == number][:MAX_TRAIN], X_test[:MAX_TEST], y_test[:MAX_TEST] != number


def _folder(folder: Path) -> Pictures:
    layout = anogan.LabelledFolder(folder)
    train, test = (grey_pictures(part.files, SIZE) for part in (layout.train, layout.test))
    return train, test, np.array([layout.kind_of(file) != "good" for file in layout.test.files])


def datasets(data_dir: Path) -> dict[str, Callable[[], Pictures]]:
    """Return how to load each data set that is at hand."""
    found: dict[str, Callable[[], Pictures]] = {}
    if (data_dir / MNIST).is_file():
        found |= {f"digit {digit}": partial(_digits, digit, data_dir) for digit in (2, 8)}
        found["all digits"] = partial(_digits, None, data_dir)
    if all((data_dir / file).is_file() for file in CIFAR10):
        found |= {f"CIFAR-10 {name}": partial(_cifar, number, data_dir) for name, number in CIFAR10_CLASSES.items()}
    return found | {name: partial(_folder, folder) for name, folder in mvtec_folders(data_dir).items()}


class PictureHealth(Experiment):
    """Trainings on pictures at defaults, and others that are bad or may be."""

    name = "picture_health"
    help = "What good and bad trainings on pictures are diagnosed as."
    axes = (
        names("dataset", lambda data: list(datasets(data))),
        names("case", lambda _: list(CASES)),
        names("detector", lambda _: EVERY),
    )

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        every = super().cells(data_dir, chosen)
        return [cell for cell in every if cell["detector"] in CASES[cell["case"]].detectors]

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        case, cls = CASES[cell["case"]], anogan.detector_class(cell["detector"])
        train, test, labels = datasets(data_dir)[cell["dataset"]]()
        pixels = [part.reshape(len(part), -1) / 255 for part in (train, test)]
        distances, _ = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(pixels[0]).kneighbors(pixels[1])
        found: Record = {"knn_auroc": round(metrics.auroc(labels, distances[:, -1]), 4)}
        detector, began = cls(random_state=0, **case.parameters), time.perf_counter()
        try:
            with warnings.catch_warnings(), altered(cls, case):
                warnings.simplefilter("ignore")
                detector.fit(train, restarts=0)
        except anogan.TrainingDivergedError as error:
            return found | {"healthy": False, "verdict": str(error)}
        found["fit_s"] = round(time.perf_counter() - began, 1)
        return found | {
            "auroc": round(metrics.auroc(labels, detector.anomaly_score(test)), 4),
            "healthy": detector.diagnosis_.healthy,
            "verdict": detector.diagnosis_.verdict,
            "measures": {name: round(value, 4) for name, value in detector.diagnosis_.measures.items()},
        }

    def outcome(self, record: Record) -> str:
        return str(record["verdict"])

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def wrong(record: Record) -> str:
    """Return what is wrong with a verdict; empty if nothing is known to be."""
    kind = CASES[record["case"]].kind
    if kind == BAD:
        return "bad, but called healthy" if record["healthy"] else ""
    if kind == RATES:  # a score can be good though samples are blurs
        return ""
    detects = record.get("auroc", 0.0) > record["knn_auroc"]
    return "detects better than neighbours, but not called healthy" if detects and not record["healthy"] else ""


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    about = f"""\
{made_by} At most {MAX_TRAIN:,} pictures of each set, seed 0, no second attempt. *kNN* is the distance to
the {NEIGHBOURS}th neighbour in pixels. A verdict is wrong where a training that was *{BAD}* is called healthy, or
where one *{AS_IS}* that ranks the test better than kNN is not; what is right {RATES} is not known for certain. All
digits are tested with digits that are turned by 90 degrees; folders are read at {SIZE}x{SIZE} pixels. *One mode*: the
trained generator gets latents at 5 % of their length. *Constant generator*: it makes the same picture for a whole
batch. *Ten pictures*: the samples of the trained generator repeat ten pictures. *Grey blobs*: all that the generator
makes is blurred, in training too."""
    counts, rows = [], []
    for kind in (AS_IS, RATES, BAD):
        some = [r for r in records if CASES[r["case"]].kind == kind]
        healthy = sum(r["healthy"] for r in some)
        counts.append([kind, str(len(some)), str(healthy), str(sum(bool(wrong(r)) for r in some))])
    for r in records:
        auroc = f"{100 * r['auroc']:.1f}" if "auroc" in r else ""
        names_and_figures = [r["dataset"], r["case"], r["detector"], auroc, f"{100 * r['knn_auroc']:.1f}"]
        rows.append([*names_and_figures, wrong(r) or "-", r["verdict"]])
    head = ["data", "case", "detector", "AUROC", "kNN", "wrong", "verdict"]
    parts = [fill(" ".join(about.split()), width=119), table(["trainings", "number", "healthy", "wrong"], counts)]
    return "\n\n".join(["# Are trainings on pictures diagnosed rightly?", *parts, table(head, rows, texts=3)])
