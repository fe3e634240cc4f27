"""What each part of DenoisingGAN contributes: the same cells with one thing changed at a time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import adbench
from .experiment import Cell, Experiment, Record, names, numbers
from .tabular import Tabular

DETECTOR = "denoising_gan"
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no adversary: all noise is normal": {"adversarial_share": 0.0},
    "all noise is the adversary's choice": {"adversarial_share": 1.0},
    "no level: the critic predicts the noise alone": {"level_weight": 0.0},
    "no jitter": {"jitter": 0.0},
    "never trained": {"steps": 1, "learning_rate": 1e-9},
    "one member": {"n_members": 1},
    "no outlier rule": {"outlier_iqr": None},
    "asinh scaling": {"scaling": "asinh"},
    "standard scaling": {"scaling": "standard"},
    "memory bank of 1024 rows": {"memory_bank_size": 1024},
    "memory bank of 256 rows": {"memory_bank_size": 256},
}


def table(records: list[Record]) -> str:
    """Return mean AUROC and AUPR of each variant, and its difference from the first one on the cells that both have."""
    found: dict[str, dict[tuple[str, int], Record]] = {name: {} for name in VARIANTS}
    names = {_key(params): name for name, params in VARIANTS.items()}
    for record in records:
        name = names.get(_key(record["params"]))
        if name is not None and record["detector"] == DETECTOR and "error" not in record:
            found[name][record["dataset"], record["seed"]] = record
    whole = found["as it is"]
    lines = [
        "| variant | cells | AUROC | difference | without its largest | tables better / worse | AUPR | fit s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, cells in found.items():
        common = sorted(cells.keys() & whole.keys())
        if not common:
            continue
        gains = _by_table({cell: cells[cell]["auroc"] - whole[cell]["auroc"] for cell in common})
        rest = np.delete(gains, np.abs(gains).argmax())
        differences = (
            f"{100 * gains.mean():+.2f} | {100 * rest.mean():+.2f}" if len(rest) and cells is not whole else " | "
        )
        sides = f"{(gains >= 0.001).sum()} / {(gains <= -0.001).sum()}" if cells is not whole else ""
        auroc, aupr = (_by_table({cell: cells[cell][metric] for cell in common}).mean() for metric in ("auroc", "aupr"))
        seconds = np.mean([cells[cell]["fit_s"] for cell in common])
        metrics = f"{100 * auroc:.2f} | {differences} | {sides} | {100 * aupr:.2f}"
        lines.append(f"| {name} | {len(common)} | {metrics} | {seconds:.1f} |")
    return "\n".join(lines)


class Ablation(Tabular):
    """Variants of one detector."""

    name = "ablation"
    help = "DenoisingGAN on ADBench's tables, with one part changed at a time."
    axes = (names("dataset", lambda data: list(adbench.tables(data))), numbers("seed", "0"))
    options = tuple(option for option in Tabular.options if option.name in Tabular.limits)

    def cells(self, data_dir: Path, chosen: Mapping[str, Any]) -> list[Cell]:
        found = adbench.tables(data_dir)
        limits = {name: chosen[name] for name in self.limits}
        return [
            self.cell(found[dataset], DETECTOR, seed, params, limits)
            for params in VARIANTS.values()
            for seed in chosen["seed"]
            for dataset in chosen["dataset"]
        ]

    def failures(self, records: list[Record]) -> str:
        return Experiment.failures(self, records)

    def report(self, records: list[Record], folder: Path) -> str:
        seeds = sorted({record["seed"] for record in records})
        limits = {str(record["limits"].get("max_rows")) for record in records}
        return f"""\
# Ablation of DenoisingGAN

{self.made_by} Protocol `semi`, at most \
{", ".join(sorted(limits))} rows of a table, seeds {", ".join(map(str, seeds))}.

{table(records)}

In %, means over tables; differences are paired: the same splits and seeds. *Without its largest*: the mean difference
without the table on which it is largest. *Better / worse*: tables that differ by 0.1 points or more."""


def _key(params: dict[str, Any]) -> str:
    return repr(sorted(params.items()))


def _by_table(values: dict[tuple[str, int], float]) -> np.ndarray:
    """Return means over seeds, one for each data set."""
    datasets = sorted({dataset for dataset, _ in values})
    return np.array([np.mean([v for (name, _), v in values.items() if name == dataset]) for dataset in datasets])
