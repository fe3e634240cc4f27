"""Learning rates and Adam's coefficients that papers give for their objectives, in trainings as short as ours."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import fill
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

import anogan
from anogan import metrics

from . import adbench, images
from .experiment import Cell, Experiment, Record, measured, names, numbers
from .report import table

DATASETS = ("mnist-2", "mnist-8", "mnist-5", "breastw", "cardio", "Wilt")
LIMITS = {"max_train": 2000, "max_test": 500, "max_rows": 5000}
DETECTOR = "anogan"


@dataclass(frozen=True)
class Setting:
    """Parameters of the detector, and what is changed of its objective; rates are multiples of ``learning_rate``."""

    parameters: dict[str, Any]
    objective: dict[str, Any] = field(default_factory=dict)
    gamma: float = 0.0  # of R1 and R2 with relativistic pairing; 0: the objective as it is


GP, DCGAN, CLIP = ({"objective": name} for name in ("wasserstein_gp", "non_saturating", "wasserstein"))
SETTINGS = {
    "WGAN-GP (ours): 1e-3 with 0/0.9": Setting(GP),
    "WGAN-GP Gulrajani 2017: 1e-4 with 0/0.9": Setting(GP | {"learning_rate": 1e-4}),
    "WGAN-GP Heusel 2017: critic 3e-4 generator 1e-4 with 0/0.9": Setting(
        GP | {"learning_rate": 1e-4}, {"critic_rate": 3.0}
    ),
    "WGAN-GP Karras 2018: 1e-3 with 0/0.99": Setting(GP, {"betas": (0.0, 0.99)}),
    "WGAN-GP critic 2e-3 generator 1e-3": Setting(GP, {"critic_rate": 2.0}),
    "WGAN-GP critic 1e-3 generator 2e-3": Setting(GP, {"generator_rate": 2.0}),
    "non-saturating (ours): 1e-3 with 0.5/0.999": Setting(DCGAN),
    "non-saturating Radford 2016: 2e-4 with 0.5/0.999": Setting(DCGAN | {"learning_rate": 2e-4}),
    "non-saturating Karras 2020: 2.5e-3 with 0/0.99": Setting(
        DCGAN | {"learning_rate": 2.5e-3}, {"betas": (0.0, 0.99)}
    ),
    "clipping (ours): 1e-3 with 0.5/0.999": Setting(CLIP),
    "clipping Arjovsky 2017: 5e-5 with 0/0.99 in place of RMSProp": Setting(
        CLIP | {"learning_rate": 5e-5}, {"betas": (0.0, 0.99)}
    ),
    "R3GAN Huang 2024: 2e-4 with 0/0.99 gamma 2": Setting(
        DCGAN | {"learning_rate": 2e-4, "r1_weight": 0.0}, {"betas": (0.0, 0.99)}, gamma=2.0
    ),
    "R3GAN at our rate: 1e-3 with 0/0.99 gamma 0.2": Setting(
        DCGAN | {"r1_weight": 0.0}, {"betas": (0.0, 0.99)}, gamma=0.2
    ),
}


def _penalty(critic: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).logit.sum(), x, create_graph=True)
    return gradient.flatten(2).square().sum(-1).mean(-1) / 2


def _relativistic(module: Any, gamma: float) -> None:
    """Replace the module's losses by those of R3GAN (arXiv:2501.05441): relativistic pairing, R1 and R2."""

    def critic_loss(x: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = module.sample(x.shape[1])
        real, made = module.critic(x).logit, module.critic(fake).logit
        penalty = _penalty(module.critic, x) + _penalty(module.critic, fake)
        return {"adversarial": softplus(made - real).mean(-1), "penalty": gamma * penalty}

    def generator_loss(x: Tensor) -> dict[str, Tensor]:
        real, made = module.critic(x).logit, module.critic(module.sample(x.shape[1])).logit
        return {"adversarial": softplus(real - made).mean(-1)}

    module.critic_loss, module.generator_loss = critic_loss, generator_loss


@contextmanager
def changed(cls: type[anogan.Detector], setting: Setting) -> Iterator[None]:
    """Let detectors of the class train as the setting says, in this block."""
    build = cls.build

    def built(self: anogan.Detector, backbone: Any) -> Any:
        module: Any = build(self, backbone)
        module.objective = replace(module.objective, **setting.objective)
        if setting.gamma:
            _relativistic(module, setting.gamma)
        return module

    with patch.object(cls, "build", built):
        yield


class Rates(Experiment):
    """One setting on one data set."""

    name = "rates"
    help = "Published learning rates and coefficients of Adam, by objective, in short trainings."
    axes = (
        numbers("step", "400"),
        names("dataset", lambda _: DATASETS),
        names("setting", lambda _: list(SETTINGS)),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        known = images.datasets(data_dir) | adbench.tables(data_dir)
        split = known[cell["dataset"]].load(data_dir, np.random.default_rng(0), LIMITS)
        setting, cls = SETTINGS[cell["setting"]], anogan.detector_class(DETECTOR)
        detector = cls(steps=cell["step"], random_state=0, **setting.parameters)
        began = time.process_time()
        try:
            with warnings.catch_warnings(), changed(cls, setting):
                warnings.simplefilter("ignore")
                detector.fit(split.train, restarts=0)
        except anogan.TrainingDivergedError as error:
            return {"auroc": None, "verdict": str(error)}
        return {
            "auroc": round(metrics.auroc(split.labels, detector.anomaly_score(split.test)), 4),
            "fit_s": round(time.process_time() - began, 1),
            "verdict": detector.diagnosis_.verdict,
            "measures": {name: round(value, 4) for name, value in detector.diagnosis_.measures.items()},
        }

    def outcome(self, record: Record) -> str:
        return f"{record['auroc']}, {record['verdict']}"

    def report(self, records: list[Record], folder: Path) -> str:
        about = f"""\
{self.made_by} `{DETECTOR}` at its defaults but for the objective, the learning rate (of both players, unless two are
given) and Adam's coefficients; seed 0; AUROC in %. Pictures: {LIMITS["max_train"]:,} of one digit, tested with
{LIMITS["max_test"]} of all. In brackets the share of held-out pictures that samples cover, in features (of tables: of
rows). Published rates are quoted from memory; they are for trainings that are ten to a thousand times as long."""
        parts = ["# Published rates in short trainings", fill(" ".join(about.split()), width=119)]
        found = measured(records)
        for steps in sorted({r["step"] for r in found}):
            some = [r for r in found if r["step"] == steps]
            sets = [name for name in DATASETS if any(r["dataset"] == name for r in some)]
            rows = []
            for setting in SETTINGS:
                of_setting = {r["dataset"]: r for r in some if r["setting"] == setting}
                if of_setting:
                    rows.append([setting, *(_shown(of_setting.get(name)) for name in sets)])
            parts += [f"## {steps} steps", table(["setting", *sets], rows)]
        return "\n\n".join(parts)


def _shown(record: Record | None) -> str:
    if record is None or record["auroc"] is None:
        return "" if record is None else "diverged"
    covered = record["measures"].get("feature_coverage", record["measures"].get("coverage", 0.0))
    return f"{100 * record['auroc']:.1f} ({100 * covered:.0f})"
