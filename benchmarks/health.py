"""Whether bad trainings are called bad, and good ones are not; and what it costs to watch them."""

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
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

import anogan

from .cell import Record
from .datasets import datasets_of

TABLES = ("breastw", "Pima", "yeast", "Waveform", "cardio", "Wilt")
CHOSEN_ON = ("cardio", "Wilt")  # the limits of the verdicts were
MAX_ROWS = 1000
DETECTORS = ("anogan", "f_anogan", "ganomaly", "wgan_gp", "egbad", "denoising_gan")
AS_IS, CONSTANT, FAST_CRITIC, SHORT = "as it is", "constant generator", "critic at 100 times the rate", "few steps"
PARAMETERS: dict[str, dict[str, Any]] = {AS_IS: {}, CONSTANT: {"steps": 500}, FAST_CRITIC: {"steps": 500}}
FEW = 3  # steps, or as many as one step of the generator takes
ISSUES = ("mode collapse", "critic won", "critic at chance", "diverged", "under-trained")
GENERATORS = ("generator", "decoder", "corruptor")


@contextmanager
def spoilt(cls: type[anogan.Detector], case: str) -> Iterator[None]:
    """In this block, detectors of the class train as the case says."""
    critics: set[int] = set()
    build = cls.build

    def constant(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        return out * 0 + out.mean(1, keepdim=True)  # every row of a batch is the same

    def hurry(optimizer: Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        if id(group["params"][0]) in critics and "hurried" not in group:
            group |= {"hurried": True, "lr": 100 * group["lr"]}

    def built(self: anogan.Detector, backbone: Any) -> Any:
        module = build(self, backbone)
        if case == CONSTANT:
            name = next(name for name in GENERATORS if hasattr(module, name))
            getattr(module, name).register_forward_hook(constant)
        if case == FAST_CRITIC:
            critics.update(id(w) for name, w in module.named_parameters() if name.startswith("critic"))
        return module

    handle = register_optimizer_step_pre_hook(hurry)
    try:
        with patch.object(cls, "build", built):
            yield
    finally:
        handle.remove()


class Stopwatch(anogan.Callback):
    """How long steps take that are plain, that are logged, and after which the training is looked at."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"plain": [], "logged": [], "looked": []}
        self._looked = False

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        self._last = time.perf_counter()

    def on_validation(self, stage: str, step: int, values: dict[str, float]) -> None:
        self._looked = True

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        now = time.perf_counter()
        kind = "looked" if self._looked else "logged" if terms else "plain"
        self.seconds[kind].append(now - self._last)
        self._last, self._looked = time.perf_counter(), False

    def shares(self) -> dict[str, float]:
        """Of the training time: what logged steps (gradient norms, losses) and looks take beyond plain ones."""
        plain, logged = median(self.seconds["plain"]), median(self.seconds["logged"])
        total = sum(map(sum, self.seconds.values()))
        looks = self.seconds["looked"]  # which are logged steps too
        return {
            "logs": (logged - plain) * (len(self.seconds["logged"]) + len(looks)) / total,
            "looks": (median(looks) - logged) * len(looks) / total,
        }


def run(data_dir: Path, tables: list[str]) -> Iterator[Record]:
    """A record of each case, detector and table."""
    for table in tables:
        split = datasets_of("tabular", data_dir)[table].load(data_dir, np.random.default_rng(0), {"max_rows": 10**9})
        normal = np.concatenate([split.train, split.test[~split.labels]])
        normal = np.random.default_rng(0).permutation(normal)[:MAX_ROWS]
        for name in DETECTORS:
            for case in (AS_IS, CONSTANT, FAST_CRITIC, SHORT):
                yield {"dataset": table, "rows": len(normal), "detector": name, "case": case} | measure(
                    anogan.detector_class(name), case, normal
                )


def measure(cls: type[anogan.Detector], case: str, normal: np.ndarray) -> Record:
    """The verdict on one training, without a second attempt; of a good one also what watching it costs."""
    critic_steps = cls.parameters().get("critic_steps")
    few = max(FEW, critic_steps.default if critic_steps else 0)
    detector = cls(random_state=0, device="cpu", **PARAMETERS.get(case, {"steps": few}))
    watch, began = Stopwatch(), time.perf_counter()
    try:
        with warnings.catch_warnings(), spoilt(cls, case):
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


def report(records: list[Record]) -> str:
    """The tables; the newest record of each measurement counts."""
    records = list({(r["dataset"], r["detector"], r["case"]): r for r in records}.values())
    lines = [
        "# Is a bad training called bad, and a good one not?",
        "",
        fill(
            f"Made by `python -m benchmarks health`: at most {MAX_ROWS:,} random normal rows of each table; seed 0; no "
            f"second attempt. *{AS_IS}*: at defaults. *{CONSTANT}*: it makes the same row for a whole batch, 500 "
            f"steps. *{FAST_CRITIC}*: 500 steps. *{SHORT}*: {FEW}, or as many as the generator's first step takes. "
            "Nobody knows the truth about trainings as they are: there each verdict is listed below with its "
            "evidence. *Noticed* is any verdict but healthy. A training with two issues counts in two columns.",
            width=119,
        ),
    ]
    for title, used in (
        ("Tables that had no part in choosing the limits of the verdicts", False),
        (f"Tables that the limits were chosen on ({', '.join(CHOSEN_ON)})", True),
    ):
        some = [r for r in records if (r["dataset"] in CHOSEN_ON) == used]
        lines += ["", f"## {title}", "", f"| case | noticed | healthy | {' | '.join(ISSUES)} |"]
        lines += ["| --- | ---: | ---: |" + " ---: |" * len(ISSUES)]
        for case in (AS_IS, CONSTANT, FAST_CRITIC, SHORT):
            of_case = [r for r in some if r["case"] == case]
            counts = [sum(issue in r["issues"] for r in of_case) for issue in ISSUES]
            noticed = sum(bool(r["issues"]) for r in of_case)
            cells: list[Any] = [f"{noticed} of {len(of_case)}", len(of_case) - noticed, *counts]
            lines.append(f"| {case} | {' | '.join(map(str, cells))} |")
    lines += ["", "## By detector, all tables: how many trainings were noticed", ""]
    cases = (AS_IS, CONSTANT, FAST_CRITIC, SHORT)
    lines += [f"| detector | {' | '.join(cases)} |", "| --- |" + " ---: |" * len(cases)]
    for name in DETECTORS:
        found = [[bool(r["issues"]) for r in records if (r["detector"], r["case"]) == (name, case)] for case in cases]
        cells = [f"{sum(noticed)} of {len(noticed)}" for noticed in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    surprising = [r for r in records if bool(r["issues"]) == (r["case"] == AS_IS)]
    lines += ["", "## Trainings as they are that were not called healthy, and made cases that were", ""]
    lines += [f"- {r['dataset']}, {r['detector']}, {r['case']}: {r['verdict']}" for r in surprising]
    lines += [
        "",
        "## What watching costs",
        "",
        fill(
            "Share of the training time (at defaults, median over the tables) that logged steps (losses and gradient "
            "norms, 200 in a stage) and looks (monitor and critic's accuracy, 20 in a stage) take beyond plain steps. "
            "Where the generator moves at every fifth step (f_anogan, wgan_gp) these are the logged ones: the share of "
            "logs holds its move too, and is too high.",
            width=119,
        ),
        "",
        "| detector | logs | looks | fit s |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in DETECTORS:
        plain = [r for r in records if r["detector"] == name and "looks" in r]
        if plain:
            logs, looks, seconds = (median(r[what] for r in plain) for what in ("logs", "looks", "fit_s"))
            lines.append(f"| {name} | {logs:.1%} | {looks:.1%} | {seconds:.1f} |")
    return "\n".join([*lines, ""])
