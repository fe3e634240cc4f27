"""Markdown tables of detectors beside each other, and the README's short table."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from anogan import baselines

from .experiment import Record
from .figures import Point, costs, critical_differences
from .ranking import ALPHA, REFERENCE, TIE, Ranking
from .records import current, read_records

IDENTITY = ("protocol", "dataset", "detector", "seed", "params", "limits", "config")
"""Fields that identify a record of a comparison."""
PUBLISHED: dict[str, Record] = {
    "tabular": {"protocol": "semi", "limits": {"max_rows": 5000}},
    "oddbench": {"protocol": "final", "limits": {}},
    "intrusion": {"protocol": "published-split", "limits": {}},
}
"""Experiments in the README's table, and which of their records."""
SHOWN_WITH: dict[str, dict[str, Any]] = {"knn": {"n_neighbors": 3}}
"""Parameters other than the defaults with which a detector has a row of its own in the README's table."""
SHOWN = 12
"""Number of baselines in the README's table, besides PyOD's GANs."""
PIXEL_METRICS = {"pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
MIN_SECONDS = 0.001  # times in records are rounded to this

Groups = dict[str, dict[str, list[Record]]]  # label of the detector -> data set -> records of its seeds


def comparison_report(records: list[Record], protocols: Mapping[str, str], folder: Path, figures: str | None) -> str:
    """Return the tables of a comparison: a section for each protocol and each setting of the limits.

    Parameters
    ----------
    protocols : mapping
        Description of each protocol.
    folder : Path
        Figures are written here.
    figures : str or None
        Start of the figures' names; None for data sets that share test samples: no tests are made over those.
    """
    sections: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        limits = ", ".join(f"{name} = {value}" for name, value in sorted(record["limits"].items()))
        sections[record["protocol"], limits].append(record)
    parts: list[str] = []
    for (protocol, limits), chosen in sections.items():
        parts += [f"## {protocol}{f' ({limits})' if limits else ''}", protocols[protocol]]
        parts += _quality_tables(chosen)
        if figures is not None:
            parts += _figures(chosen, folder, "-".join([figures, protocol, *re.findall(r"\d+", limits)]))
        parts += _failures(chosen)
    return "\n\n".join(parts)


def summary(folder: Path) -> str:
    """Return the README's table: detectors at the defaults on tables, best first, of the cells that have a record.

    It has all GANs, ours and PyOD's, and the `SHOWN` best of the others.
    """
    records: dict[str, list[Record]] = {}
    for name, published in PUBLISHED.items():
        everything, _ = current(read_records(folder / f"{name}.jsonl"), IDENTITY)
        chosen = (r for r in everything if not r["params"] or r["params"] == SHOWN_WITH.get(r["detector"]))
        records[name] = [r for r in chosen if published.items() <= r.items()]
    found = {experiment: grouped(r for r in chosen if "error" not in r) for experiment, chosen in records.items()}
    rankings = {experiment: _ranking(chosen, "auroc") for experiment, chosen in records.items()}
    tables, complete = found["tabular"], rankings["tabular"]
    left_out = [name for name in tables if name not in complete.values]
    ordered = sorted(complete.values.columns, key=lambda name: -complete.values[name].mean())
    others = [name for name in ordered if _kind(name) in ("classical", "deep")][:SHOWN]

    def quality(experiment: str, name: str) -> list[str]:
        if name not in rankings[experiment].values:
            return ["", "", ""]
        own = found[experiment][name]
        return [_percent(own), f"{100 * _mean(own, 'aupr'):.1f}", f"{rankings[experiment].mean_ranks[name]:.1f}"]

    rows = [
        [
            name if baselines.is_ours(name) else f"*{name}*",
            *quality("tabular", name),
            *quality("oddbench", name),
            _percent(found["intrusion"].get(name)),
            f"{_seconds(tables[name], 'fit_s'):.1f}",
        ]
        for name in ordered
        if name in others or _kind(name) not in ("classical", "deep")
    ]
    sizes = {experiment: ranking.values.shape for experiment, ranking in rankings.items()}
    seeds = {len(seeds) for name in ordered for seeds in tables[name].values()}
    head = ["detector", f"ADBench ({sizes['tabular'][0]} tables)", "AUPR", "rank"]
    head += [f"OddBench ({sizes['oddbench'][0]} tables)", "AUPR", "rank", "NSL-KDD", "fit, s"]
    caption = f"""\
Mean AUROC in %, ± its standard deviation over seeds ({_range_of(seeds)} on ADBench; each with its own split); mean
AUPR; mean rank by AUROC among {sizes["tabular"][1]} detectors on ADBench, and among {sizes["oddbench"][1]} on the
half of OddBench on which nothing was chosen. Fitting time on ADBench, on one thread. *In italics: not of this
package*; of those the {SHOWN} best and PyOD's GANs.{_left_out(left_out)}"""
    return f"{table(head, rows)}\n\n{caption}"


def _left_out(names: list[str]) -> str:
    return f" Left out, since cells failed or are missing: {', '.join(names)}." if names else ""


def _percent(tables: dict[str, list[Record]] | None) -> str:
    if not tables:
        return ""
    spread = _seed_spread(tables, "auroc")
    return f"{100 * _mean(tables, 'auroc'):.1f}" + (f" ± {100 * spread:.1f}" if spread is not None else "")


def _range_of(numbers: set[int]) -> str:
    return f"{min(numbers)}" if len(numbers) == 1 else f"{min(numbers)} to {max(numbers)}"


def label(record: Record) -> str:
    """Return the detector and its parameters that differ from the default."""
    params = dict(record["params"])
    members = params.pop("n_members", None)
    others = ", ".join(f"{name}={value}" for name, value in params.items())
    return record["detector"] + f" x{members}" * (members is not None) + f" ({others})" * bool(others)


def _quality_tables(records: list[Record]) -> list[str]:
    groups = grouped(r for r in records if "error" not in r)
    datasets = list(dict.fromkeys(r["dataset"] for r in records if "error" not in r))
    default = [r for r in records if not r["params"]]
    complete = _ranking(default, "auroc")
    by_aupr = _ranking(default, "aupr").mean_ranks
    rows = []
    for name, tables in groups.items():
        everything = [r for seeds in tables.values() for r in seeds]
        alarms = [r["false_alarms"] for r in everything if "false_alarms" in r]
        healthy = [r["healthy"] for r in everything if "healthy" in r]
        ranked = name in complete.values
        rows.append(
            [
                name,
                f"{len(tables)}{'' if ranked or any(r['params'] for r in everything) else ' (!)'}",
                str(len(everything)),
                f"{100 * _mean(tables, 'auroc'):.2f}",
                _points(_seed_spread(tables, "auroc")),
                _points(_spread_of_mean(tables)),
                f"{complete.mean_ranks[name]:.2f}" if ranked else "",
                "/".join(map(str, complete.against(name))) if ranked and REFERENCE in complete.values else "",
                f"{100 * _mean(tables, 'aupr'):.2f}",
                f"{by_aupr[name]:.2f}" if ranked else "",
                f"{100 * _mean(tables, 'f1_at_count'):.2f}",
                f"{100 * _mean(tables, 'fpr95'):.2f}",
                *(f"{100 * _mean(tables, m):.2f}" if _has(everything, m) else "" for m in PIXEL_METRICS),
                f"{100 * fmean(alarms):.2f}" if alarms else "",
                f"{sum(healthy)}/{len(healthy)}" if healthy else "",
                str(sum(r["constant"] for r in everything)),
                f"{_seconds(tables, 'fit_s'):.2f}",
                f"{_seconds(tables, 'score_s'):.2f}",
                str(max(r["peak_mb"] for r in everything)),
            ]
        )
    head = [
        "detector",
        "sets",
        "cells",
        "AUROC",
        "seed s.d.",
        "s.d. of mean",
        "mean rank",
        f"won/tied/lost ({REFERENCE})",
    ]
    head += ["AUPR", "mean rank (AUPR)", "F1 at count", "FPR at 95 % recall", *PIXEL_METRICS.values()]
    head += ["false alarms", "healthy", "constant", "fit s", "score s", "peak MB"]
    order = sorted(range(len(rows)), key=lambda i: ("(!)" in rows[i][1], -float(rows[i][3])))
    rows = [rows[i] for i in order]
    explained = f"""\
Best first; metrics in %. AUROC and so on: means over data sets of the mean over seeds. Seed s.d.: mean over data sets
of the standard deviation over seeds, split included; s.d. of mean: standard deviation over seeds of the mean over data
sets. Mean rank: by AUROC on each data set, 1 is best. Won/tied/lost: data sets on which AUROC is above, within
{100 * TIE:g} points of, or below {REFERENCE}'s. False alarms: normal test rows above the detector's own threshold (1 %
promised). Constant: cells whose scores were all equal. Seconds: means over data sets of the median over seeds. (!):
data sets are missing or seeds failed there, so means are not comparable and there is no rank. Detectors at their
defaults are ranked."""
    parts = [table(*_without_empty(head, rows)), explained]
    names = {"auroc": "AUROC", "aupr": "AUPR", "f1": "F1", "precision": "Precision", "recall": "Recall"} | PIXEL_METRICS
    for metric, title in names.items():
        if _has(records, metric):
            parts += [f"### {title} in %, mean ± s.d. over seeds", _per_dataset(groups, datasets, metric)]
    return parts


def _has(records: list[Record], metric: str) -> bool:
    return any(metric in r for r in records)


def _without_empty(head: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns that no row fills."""
    filled = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return [head[i] for i in filled], [[row[i] for i in filled] for row in rows]


def _ranking(records: list[Record], metric: str) -> Ranking:
    """Rank the detectors; a data set on which any seed failed is missing."""
    failed = {(label(r), r["dataset"]) for r in records if "error" in r}
    groups = grouped(r for r in records if "error" not in r)
    means = {
        name: {d: fmean(r[metric] for r in seeds) for d, seeds in tables.items() if (name, d) not in failed}
        for name, tables in groups.items()
    }
    return Ranking.of(means)


def _kind(name: str) -> str:
    """Return the kind of a detector at its defaults, by its name."""
    known = baselines.BASELINES.get(name)  # an import path may not be importable here
    return "gan" if baselines.is_ours(name) else known.kind if known else "classical"


def _figures(records: list[Record], folder: Path, stem: str) -> list[str]:
    """Draw the figures that there is enough data for; return the links to them."""
    complete = _ranking([r for r in records if not r["params"]], "auroc")
    if not complete.testable:
        return []
    groups = grouped(r for r in records if "error" not in r)
    critical_differences(complete, folder / f"{stem}-ranks.png")
    points = [
        Point(
            name,
            _kind(name),
            max(MIN_SECONDS, _seconds(groups[name], "fit_s")),
            _mean(groups[name], "auroc"),
        )
        for name in complete.values
    ]
    costs(points, folder / f"{stem}-costs.png")
    return [
        "### Ranks and costs",
        f"![Critical differences]({stem}-ranks.png)",
        "A bar joins the detectors (dots) that Wilcoxon's signed-rank test over the data sets, adjusted by Holm for "
        f"all pairs drawn, does not separate at {ALPHA:g}. Friedman's test of all detectors: p = "
        f"{complete.friedman_p():.1e}.",
        f"![AUROC against time of fitting]({stem}-costs.png)",
    ]


def _per_dataset(groups: Groups, datasets: list[str], metric: str) -> str:
    rows = []
    for dataset in datasets:
        row = [dataset]
        means = {}
        for name, tables in groups.items():
            seeds = tables.get(dataset, [])
            values = [100 * r[metric] for r in seeds if metric in r]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            flag = " CONSTANT" if any(r["constant"] for r in seeds) else ""
            row.append(f"{fmean(values):.1f}{spread}{flag}" if values else "")
            means[name] = fmean(values) if values else -1.0
        best = max(means.values())
        rows.append(
            [row[0], *(f"**{t}**" if t and m == best else t for t, m in zip(row[1:], means.values(), strict=True))]
        )
    return table(["data set", *groups], rows)


def _failures(records: list[Record]) -> list[str]:
    failed = [r for r in records if "error" in r]
    lines = [f"- {label(r)} on {r['dataset']}, seed {r['seed']}: {r['error']}" for r in failed]
    return [f"### {len(lines)} failed", "\n".join(lines)] if lines else []


def grouped(records: Iterable[Record]) -> Groups:
    """Group records by detector and data set: our detectors first, by name, then baselines."""
    groups: Groups = defaultdict(lambda: defaultdict(list))
    for r in sorted(records, key=lambda r: (not baselines.is_ours(r["detector"]), label(r), r["seed"])):
        groups[label(r)][r["dataset"]].append(r)
    return groups


def _mean(tables: dict[str, list[Record]], metric: str) -> float:
    """Return the mean over the data sets that have the metric, of the mean over seeds."""
    return fmean(fmean(r[metric] for r in seeds) for seeds in tables.values() if _has(seeds, metric))


def _seconds(tables: dict[str, list[Record]], name: str) -> float:
    """Return the mean over data sets of the median over seeds, since other load on the machine affects single cells."""
    return fmean(median(r[name] for r in seeds) for seeds in tables.values())


def _seed_spread(tables: dict[str, list[Record]], metric: str) -> float | None:
    spreads = [stdev(r[metric] for r in seeds) for seeds in tables.values() if len(seeds) > 1]
    return fmean(spreads) if spreads else None


def _spread_of_mean(tables: dict[str, list[Record]]) -> float | None:
    """Return the standard deviation over seeds of the mean over data sets, for the seeds that all data sets have."""
    by_seed = [{r["seed"]: r["auroc"] for r in seeds} for seeds in tables.values()]
    common = set.intersection(*(set(values) for values in by_seed))
    return stdev(fmean(values[seed] for values in by_seed) for seed in common) if len(common) > 1 else None


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def table(head: list[str], rows: list[list[str]], *, texts: int = 1) -> str:
    """Return a Markdown table; all columns but the first `texts` are aligned to the right."""
    lines = [head, [*["---"] * texts, *["---:"] * (len(head) - texts)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
