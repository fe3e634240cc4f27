"""What each part of DenoisingGAN contributes: the same cells with one thing changed at a time."""

from typing import Any

import numpy as np

from .cell import Record

DETECTOR = "denoising_gan"
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no adversary: all noise is normal": {"adversarial_share": 0.0},
    "nothing but the adversary's choices": {"adversarial_share": 1.0},
    "no level: noise alone is told": {"level_weight": 0.0},
    "no jitter": {"jitter": 0.0},
    "never trained": {"steps": 1, "learning_rate": 1e-9},
    "one member": {"n_members": 1},
    "no outlier_iqr": {"outlier_iqr": None},
    "asinh scaling": {"scaling": "asinh"},
    "standard scaling": {"scaling": "standard"},
    "bank of 1024 rows": {"memory_bank_size": 1024},
    "bank of 256 rows": {"memory_bank_size": 256},
}


def table(records: list[Record]) -> str:
    """The variants' mean AUROC and AUPR, and their differences from the first one on the cells that both have."""
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


def report(records: list[Record]) -> str:
    """The whole page."""
    seeds = sorted({record["seed"] for record in records})
    limits = {str(record["limits"].get("max_rows")) for record in records}
    return "\n".join(
        [
            "# Ablation of DenoisingGAN",
            "",
            "Made by `python -m benchmarks ablation` from ablation.jsonl; see ../README.md. Protocol `semi`, at most "
            f"{', '.join(sorted(limits))} rows a table, seeds {', '.join(map(str, seeds))}.",
            "",
            table(records),
            "",
            "In %, means over tables; differences are paired: the same splits and seeds. *Without its largest*: the",
            "mean difference but for the table where it is largest. *Better / worse*: tables that differ by 0.1 points",
            "or more.",
            "",
        ]
    )


def _key(params: dict[str, Any]) -> str:
    return repr(sorted(params.items()))


def _by_table(values: dict[tuple[str, int], float]) -> np.ndarray:
    """Means over seeds, one for each data set."""
    datasets = sorted({dataset for dataset, _ in values})
    return np.array([np.mean([v for (name, _), v in values.items() if name == dataset]) for dataset in datasets])
