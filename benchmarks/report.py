"""Markdown tables from the records."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, stdev

from anogan import baselines

from .cell import Record, key
from .datasets import PROTOCOLS
from .run import read_records

Groups = dict[str, dict[str, list[Record]]]  # label of the detector -> data set -> records of its seeds


def report(path: Path) -> str:
    """The tables of one file of records, a section for each protocol and setting of its limits."""
    records, stale = current(read_records(path))
    sections: dict[tuple[str, str], list[Record]] = defaultdict(list)
    protocol_of = {r["dataset"]: r["protocol"] for r in records if "protocol" in r}
    for record in records:
        limits = ", ".join(f"{name} = {value}" for name, value in sorted(record["limits"].items()))
        sections[protocol_of.get(record["dataset"], "failed"), limits].append(record)
    parts = [f"# {path.stem}", f"Made by `python -m benchmarks report` from {path.name}; see ../README.md."]
    for (protocol, limits), chosen in sections.items():
        parts += [f"## {protocol}{f' ({limits})' if limits else ''}", PROTOCOLS.get(protocol, "")]
        parts += _speed_table(chosen) if protocol == "speed" else _quality_tables(chosen)
        parts += _failures(chosen)
    if stale:
        parts.append(f"{stale} records made with other default parameters are left out.")
    parts.append(_made_with(records))
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(results: Path) -> str:
    """The README's table: AUROC at the defaults on tables, best first; of the cells that have a record."""
    columns = {"tabular": "semi", "intrusion": "published-split"}
    found: dict[str, Groups] = {}
    for suite, protocol in columns.items():
        records, _ = current(read_records(results / f"{suite}.jsonl"))
        found[suite] = _grouped(r for r in records if r.get("protocol") == protocol and not r["params"])
    tables = found["tabular"]
    rows = [
        [
            f"*{name}*" if not baselines.is_ours(name) else name,
            *(_percent(found[suite].get(name)) for suite in columns),
            f"{fmean(r['fit_s'] for seeds in tables[name].values() for r in seeds):.1f}",
        ]
        for name in sorted(tables, key=lambda name: -_mean(tables[name], "auroc"))
    ]
    sets = {len(sets) for sets in tables.values()}
    seeds = {len(seeds) for sets in tables.values() for seeds in sets.values()}
    head = ["detector", f"ADBench, {_range_of(sets)} tables", "NSL-KDD", "fit, s"]
    caption = f"""\
Mean AUROC in %, ± its standard deviation over seeds ({_range_of(seeds)} on ADBench; the split is drawn anew for each).
Fitting time on ADBench, on one thread. *Classical detectors in italics.*"""
    return f"{_table(head, rows)}\n\n{caption}"


def _percent(tables: dict[str, list[Record]] | None) -> str:
    if not tables:
        return ""
    spread = _seed_spread(tables, "auroc")
    return f"{100 * _mean(tables, 'auroc'):.1f}" + (f" ± {100 * spread:.1f}" if spread is not None else "")


def _range_of(numbers: set[int]) -> str:
    return f"{min(numbers)}" if len(numbers) == 1 else f"{min(numbers)} to {max(numbers)}"


def current(records: list[Record]) -> tuple[list[Record], int]:
    """The last record of each cell, and how many are left out because a default has changed since."""
    last = {key(record): record for record in records}
    newest = {(r["detector"], json.dumps(r["params"], sort_keys=True)): r["config"] for r in last.values()}
    kept = [r for r in last.values() if newest[r["detector"], json.dumps(r["params"], sort_keys=True)] == r["config"]]
    return kept, len(last) - len(kept)


def label(record: Record) -> str:
    """The detector and its parameters that differ from the default."""
    params = dict(record["params"])
    members = params.pop("n_members", None)
    others = ", ".join(f"{name}={value}" for name, value in params.items())
    return record["detector"] + f" x{members}" * (members is not None) + f" ({others})" * bool(others)


def _quality_tables(records: list[Record]) -> list[str]:
    groups = _grouped(r for r in records if "error" not in r)
    datasets = list(dict.fromkeys(r["dataset"] for r in records if "error" not in r))
    most = max((len(tables) for tables in groups.values()), default=0)
    rows = []
    for name, tables in groups.items():
        everything = [r for seeds in tables.values() for r in seeds]
        alarms = [r["false_alarms"] for r in everything if "false_alarms" in r]
        healthy = [r["healthy"] for r in everything if "healthy" in r]
        rows.append(
            [
                name,
                f"{len(tables)}{'' if len(tables) == most else ' (!)'}",
                str(len(everything)),
                f"{_mean(tables, 'auroc'):.4f}",
                _points(_seed_spread(tables, "auroc")),
                f"{_mean(tables, 'aupr'):.4f}",
                f"{_mean(tables, 'f1_at_count'):.4f}",
                f"{_mean(tables, 'fpr95'):.4f}",
                f"{100 * fmean(alarms):.2f} %" if alarms else "",
                f"{sum(healthy)}/{len(healthy)}" if healthy else "",
                str(sum(r["constant"] for r in everything)),
                f"{fmean(r['fit_s'] for r in everything):.2f}",
                f"{fmean(r['score_s'] for r in everything):.2f}",
                str(max(r["peak_mb"] for r in everything)),
            ]
        )
    head = [
        "detector",
        "sets",
        "cells",
        "AUROC",
        "seed s.d. (points)",
        "AUPR",
        "F1 at count",
        "FPR at 95 % recall",
    ]
    head += ["false alarms", "healthy", "constant", "fit s", "score s", "peak MB"]
    explained = """\
Means over data sets of the mean over seeds. Seed s.d.: mean over data sets of the standard deviation
over seeds, split included. False alarms: normal test rows above the detector's own threshold (1 %
promised). Constant: cells whose scores were all equal. (!): some data sets are missing, so the mean is
not comparable."""
    parts = [_table(head, rows), explained]
    for metric, title in (("auroc", "AUROC"), ("f1", "F1"), ("precision", "Precision"), ("recall", "Recall")):
        if metric == "auroc" or any(metric in r for r in records):
            parts += [f"### {title}, mean ± s.d. over seeds", _per_dataset(groups, datasets, metric)]
    return parts


def _per_dataset(groups: Groups, datasets: list[str], metric: str) -> str:
    rows = []
    for dataset in datasets:
        row = [dataset]
        for tables in groups.values():
            seeds = tables.get(dataset, [])
            values = [r[metric] for r in seeds if metric in r]
            spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
            flag = " CONSTANT" if any(r["constant"] for r in seeds) else ""
            row.append(f"{fmean(values):.4f}{spread}{flag}" if values else "")
        rows.append(row)
    return _table(["data set", *groups], rows)


def _speed_table(records: list[Record]) -> list[str]:
    def listed(values: dict[str, float], shown: Callable[[float], str]) -> str:
        return ", ".join(f"{stage} {shown(value)}" for stage, value in values.items())

    groups = _grouped(r for r in records if "error" not in r)
    rows = [
        [
            name,
            str(r["threads"]),
            f"{r['rows']:,}",
            f"{r['rows_per_s']:,}",
            f"{r['score_share']:.2f}",
            listed(r["step_ms"], "{:.2f}".format),
            listed(r["step_share"], "{:.2f}".format),
        ]
        for name, tables in groups.items()
        for seeds in tables.values()
        for r in seeds
    ]
    return [_table(["detector", "threads", "rows", "rows/s", "share", "step ms", "share of a step"], rows)]


def _failures(records: list[Record]) -> list[str]:
    failed = [r for r in records if "error" in r]
    lines = [f"- {label(r)} on {r['dataset']}, seed {r['seed']}: {r['error']}" for r in failed]
    return [f"### {len(lines)} failed", "\n".join(lines)] if lines else []


def _made_with(records: list[Record]) -> str:
    def distinct(name: str) -> str:
        return "; ".join(dict.fromkeys(_flat(r[name]) for r in records))

    return f"Versions: {distinct('versions')}. Commit: {distinct('commit')}. Machine: {distinct('machine')}."


def _flat(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _grouped(records: Iterable[Record]) -> Groups:
    """Detectors first, by name, then baselines."""
    groups: Groups = defaultdict(lambda: defaultdict(list))
    for r in sorted(records, key=lambda r: (not baselines.is_ours(r["detector"]), label(r), r["seed"])):
        groups[label(r)][r["dataset"]].append(r)
    return groups


def _mean(tables: dict[str, list[Record]], metric: str) -> float:
    return fmean(fmean(r[metric] for r in seeds) for seeds in tables.values())


def _seed_spread(tables: dict[str, list[Record]], metric: str) -> float | None:
    spreads = [stdev(r[metric] for r in seeds) for seeds in tables.values() if len(seeds) > 1]
    return fmean(spreads) if spreads else None


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
