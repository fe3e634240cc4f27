"""Whether bad trainings are diagnosed as bad and good ones are not, and what the diagnosis costs."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

import anogan

from . import adbench
from .experiment import Cell, Experiment, Record, measured, names
from .report import table

TABLES = ("breastw", "Pima", "yeast", "Waveform", "magic.gamma", "cardio", "Wilt")
CHOSEN_ON = ("cardio", "Wilt")  # tables that the limits of the verdicts were chosen on
MAX_ROWS = 1000
DETECTORS = ("anogan", "f_anogan", "ganomaly", "wgan_gp", "egbad", "alad", "denoising_gan")
CASES = AS_IS, CONSTANT, FAST_CRITIC, SHORT = (
    "as it is",
    "constant generator",
    "critic at 100 times the rate",
    "few steps",
)
PARAMETERS: dict[str, dict[str, Any]] = {AS_IS: {}, CONSTANT: {"steps": 500}, FAST_CRITIC: {"steps": 500}}
FEW = 3  # steps, or as many as lead to the first step of the generator
CRITIC_STEPS = 5  # the default on tables of detectors whose default depends on the data
ISSUES = (
    "mode collapse",
    "low fidelity",
    "poor reconstructions",
    "critic won",
    "critic at chance",
    "diverged",
    "under-trained",
)
GENERATORS = ("generator", "decoder", "corruptor")


@contextmanager
def sabotaged(cls: type[anogan.Detector], case: str) -> Iterator[None]:
    """Let detectors of the class train as the case says, in this block."""
    critics: set[int] = set()
    build = cls.build

    def constant(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        return out * 0 + out.mean(1, keepdim=True)  # every row of a batch is the same

    def speed_up(optimizer: Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        if id(group["params"][0]) in critics and "sped_up" not in group:
            group |= {"sped_up": True, "lr": 100 * group["lr"]}

    def built(self: anogan.Detector, backbone: Any) -> Any:
        module = build(self, backbone)
        if case == CONSTANT:
            name = next(name for name in GENERATORS if hasattr(module, name))
            getattr(module, name).register_forward_hook(constant)
        if case == FAST_CRITIC:
            critics.update(id(w) for name, w in module.named_parameters() if name.startswith("critic"))
        return module

    handle = register_optimizer_step_pre_hook(speed_up)
    try:
        with patch.object(cls, "build", built):
            yield
    finally:
        handle.remove()


class Stopwatch(anogan.Callback):
    """Time plain training steps, logged ones, and those followed by a validation check."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"plain": [], "logged": [], "validated": []}
        self._validated = False

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        self._last = time.perf_counter()

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        self._validated = True

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        now = time.perf_counter()
        kind = "validated" if self._validated else "logged" if terms else "plain"
        self.seconds[kind].append(now - self._last)
        self._last, self._validated = time.perf_counter(), False

    def shares(self) -> dict[str, float]:
        """Return the shares of the training time that logging and validation checks add to plain steps.

        Logging is the gradient norms and the losses of logged steps.
        """
        plain, logged = median(self.seconds["plain"]), median(self.seconds["logged"])
        total = sum(map(sum, self.seconds.values()))
        validated = self.seconds["validated"]  # these steps are logged too
        return {
            "logging": (logged - plain) * (len(self.seconds["logged"]) + len(validated)) / total,
            "validation": (median(validated) - logged) * len(validated) / total,
        }


class Health(Experiment):
    """Trainings as they are, and sabotaged ones."""

    name = "health"
    help = "What ordinary and sabotaged trainings are diagnosed as, and what the diagnosis costs."
    axes = (
        names("dataset", lambda _: TABLES),
        names("detector", lambda _: DETECTORS),
        names("case", lambda _: CASES),
    )

    def measure(self, cell: Cell, data_dir: Path) -> Record:
        torch.set_num_threads(1)
        normal = adbench.normal_rows(data_dir, cell["dataset"], np.random.default_rng(0))
        normal = np.random.default_rng(0).permutation(normal)[:MAX_ROWS]
        cls = anogan.detector_class(cell["detector"])
        return {"rows": len(normal)} | measure(cls, cell["case"], normal)

    def outcome(self, record: Record) -> str:
        return str(record["verdict"])

    def report(self, records: list[Record], folder: Path) -> str:
        return report(measured(records), self.made_by)


def measure(cls: type[anogan.Detector], case: str, normal: np.ndarray) -> Record:
    """Return the verdict on one training, without a second attempt; for an ordinary one also the diagnosis' cost."""
    critic_steps = cls.parameters().get("critic_steps")
    few = max(FEW, (critic_steps.default or CRITIC_STEPS) if critic_steps else 0)
    detector = cls(random_state=0, device="cpu", **PARAMETERS.get(case, {"steps": few}))
    watch, began = Stopwatch(), time.perf_counter()
    try:
        with warnings.catch_warnings(), sabotaged(cls, case):
            warnings.simplefilter("ignore")
            detector.fit(normal, restarts=0, callbacks=[watch])
    except anogan.TrainingDivergedError as error:
        return {"issues": ["diverged"], "verdict": str(error)}
    record: Record = {
        "issues": detector.diagnosis_.issues,
        "verdict": detector.diagnosis_.verdict,
        "measures": {k: round(v, 4) for k, v in detector.diagnosis_.measures.items()},
        "fit_s": round(time.perf_counter() - began, 2),
    }
    return record | ({k: round(v, 4) for k, v in watch.shares().items()} if case == AS_IS else {})


def report(records: list[Record], made_by: str) -> str:
    """Return the page."""
    lines = [
        "# Is a bad training diagnosed as bad, and a good one not?",
        "",
        fill(
            f"{made_by} At most {MAX_ROWS:,} random normal rows of each table; seed 0; no second attempt. *{AS_IS}*: "
            f"at defaults. *{CONSTANT}*: it makes the same row for a whole batch, 500 steps. *{FAST_CRITIC}*: 500 "
            f"steps. *{SHORT}*: {FEW}, or as many as lead to the first step of the generator. Whether an ordinary "
            "training really is good is not known: each verdict on one is listed below with its evidence. *Noticed* "
            "is any verdict but healthy. A training with two issues counts in two columns.",
            width=119,
        ),
    ]
    for title, used in (
        ("Tables that the limits of the verdicts were not chosen on", False),
        (f"Tables that the limits were chosen on ({', '.join(CHOSEN_ON)})", True),
    ):
        some = [r for r in records if (r["dataset"] in CHOSEN_ON) == used]
        rows = []
        for case in CASES:
            of_case = [r for r in some if r["case"] == case]
            noticed = sum(bool(r["issues"]) for r in of_case)
            counts = [sum(issue in r["issues"] for r in of_case) for issue in ISSUES]
            rows.append([case, f"{noticed} of {len(of_case)}", str(len(of_case) - noticed), *map(str, counts)])
        lines += ["", f"## {title}", "", table(["case", "noticed", "healthy", *ISSUES], rows)]
    lines += ["", "## By detector, all tables: how many trainings were noticed", ""]
    rows = []
    for name in DETECTORS:
        found = [[bool(r["issues"]) for r in records if (r["detector"], r["case"]) == (name, case)] for case in CASES]
        rows.append([name, *(f"{sum(noticed)} of {len(noticed)}" for noticed in found)])
    lines.append(table(["detector", *CASES], rows))
    surprising = [r for r in records if bool(r["issues"]) == (r["case"] == AS_IS)]
    lines += ["", "## Ordinary trainings that were not healthy, and sabotaged ones that were", ""]
    lines += [f"- {r['dataset']}, {r['detector']}, {r['case']}: {r['verdict']}" for r in surprising]
    lines += [
        "",
        "## What the diagnosis costs",
        "",
        fill(
            "Share of the training time (at defaults, median over the tables) that logging (losses and gradient "
            "norms, 200 steps in a stage) and validation checks (monitor and accuracy of the critic, 20 in a stage) "
            "add to plain steps. Where the generator is trained at every fifth step (f_anogan, wgan_gp) these are "
            "the logged steps: the share of logging includes the generator's step and is too high.",
            width=119,
        ),
        "",
    ]
    rows = []
    for name in DETECTORS:
        timed = [r for r in records if r["detector"] == name and "validation" in r]
        if timed:
            logging, checks, seconds = (median(r[what] for r in timed) for what in ("logging", "validation", "fit_s"))
            rows.append([name, f"{logging:.1%}", f"{checks:.1%}", f"{seconds:.1f}"])
    return "\n".join([*lines, table(["detector", "logging", "validation checks", "fit s"], rows), ""])
