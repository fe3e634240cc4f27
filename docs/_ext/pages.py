"""Pages that follow from the code and from the benchmark's records: detectors, API, benchmarks, figures."""

import importlib
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import networks

import anogan
from benchmarks import records, report
from benchmarks.command import EXPERIMENTS
from benchmarks.experiment import Record, measured

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
REFERENCE = "knn"
"""The classical detector that wins and losses are counted against."""
CLASSICAL = ("knn", "iforest", "lof", "ecod", "mcd")
LISTED = 5
TIE = 1.0  # points of AUROC
ELSEWHERE = {"feature_gan": "patches", "cycle_gan": "unlabelled", "conditional_gan": "conditional"}
"""Detectors that have an experiment of their own."""


def write(folder: Path) -> None:
    """Write all generated pages; a file that would not change is left alone, so that Sphinx does not read it again."""
    shutil.rmtree(folder / "api" / "items", ignore_errors=True)  # autosummary would keep those of names that are gone
    pages = dict(from_repository()) | dict(choosing()) | dict(detectors()) | dict(benchmarks()) | dict(reference())
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text.encode() if isinstance(text, str) else text
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


# ---------------------------------------------------------------- detectors


def detectors() -> Iterator[tuple[str, str]]:
    """Yield a page and a figure for each detector of the package, and their index."""
    described = anogan.describe_detectors()
    rows = [f"| [{d.class_name}]({name}.md) | `{name}` | {d.summary} |" for name, d in sorted(described.items())]
    listed = "\n".join(sorted(described))
    yield "detectors/index.md", "\n".join(
        ["# Detectors", "", "Each page is made from the detector's class and from the benchmark's records.", "",
         "| class | name | what it does |", "|---|---|---|", *rows, "", "```{toctree}", ":hidden:", "", listed, "```", ""]
    )  # fmt: skip
    for name, detector in described.items():
        svg, words = networks.draw(name)
        yield f"detectors/{name}.svg", svg
        yield f"detectors/{name}.md", _detector_page(name, detector, words)


def _detector_page(name: str, detector: Any, words: str) -> str:
    return "\n".join([
        f"# {detector.class_name}", "", detector.summary, "",
        f"In a shell: `anogan fit DATA --detector {name}`; its options: `anogan fit --detector {name} --help`.", "",
        "## Networks", "",
        f"```{{image}} {name}.svg", f":alt: {words}", ":class: networks", "```", "",
        "The figure is made by running the losses once on rows of 8 numbers, with small networks: each box is a network "
        "with the sizes of its input and output, arrows show what it receives, and a colour is a phase of training.", "",
        "## Wins, losses and cost", "", *_standing(name), "",
        "## Reference", "",
        "```{eval-rst}", f".. autoclass:: anogan.{detector.class_name}", "   :show-inheritance:", "```", "",
        "Methods are those of {py:class}`anogan.Detector`.", "",
    ])  # fmt: skip


def _standing(name: str) -> list[str]:
    lines = _on_tables(name) + _on_pictures(name)
    if name in ELSEWHERE:
        lines += ["", f"It has an experiment of its own: [{ELSEWHERE[name]}](../benchmarks/{ELSEWHERE[name]}.md)."]
    return lines or ["The benchmark has no records of it. Nothing is known about when it wins."]


def _current(experiment: str) -> list[Record]:
    found, _ = records.current(records.read_records(RESULTS / f"{experiment}.jsonl"), report.IDENTITY)
    return measured(found)


def _on_tables(name: str) -> list[str]:
    found = scores()
    ours, theirs = found.get(name), found[REFERENCE]
    if not ours:
        return []
    gains = sorted(
        ((fmean(values) - fmean(theirs[d]), fmean(values), d) for d, values in ours.items() if d in theirs),
        reverse=True,
    )
    wins, losses = [g for g in gains if g[0] > TIE], [g for g in reversed(gains) if g[0] < -TIE]
    published = report.PUBLISHED["tabular"]
    mine = [
        r for r in _current("tabular") if r["detector"] == name and not r["params"] and published.items() <= r.items()
    ]
    mean = fmean(fmean(values) for values in ours.values())
    lines = [
        f"On {len(ours)} tables of ADBench ([all results](../benchmarks/tabular.md)) its mean AUROC is {mean:.1f} %. It is "
        f"better than nearest neighbours (k = 5) by more than {TIE:.0f} point on {len(wins)} tables and worse on {len(losses)}. "
        f"Fitting takes {fmean(r['fit_s'] for r in mine):.1f} s on average and scoring "
        f"{fmean(r['score_s'] for r in mine):.2f} s, on one thread.", "",
        "| it gains most on | AUROC, % | against neighbours |", "|---|---:|---:|",
        *[f"| {dataset} | {value:.1f} | {gain:+.1f} |" for gain, value, dataset in wins[:LISTED]], "",
        "| it loses most on | AUROC, % | against neighbours |", "|---|---:|---:|",
        *[f"| {dataset} | {value:.1f} | {gain:+.1f} |" for gain, value, dataset in losses[:LISTED]],
    ]  # fmt: skip
    return [line for k, line in enumerate(lines) if wins or not 2 <= k <= 4]


def _on_pictures(name: str) -> list[str]:
    values: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in _current("images"):
        if record["detector"] == name:
            changed = ", ".join(f"{key} = {value}" for key, value in record["params"].items())
            values[re.sub(r"-\d+$", "", record["dataset"]), changed].append(record)
    if not values:
        return []
    lines = ["", "On pictures ([all results](../benchmarks/images.md)), the mean over the classes that were measured:", "",
             "| pictures | changed parameters | cells | AUROC, % | fit, s |", "|---|---|---:|---:|---:|"]  # fmt: skip
    for (dataset, changed), found in sorted(values.items()):
        auroc, seconds = (fmean(r[key] for r in found) for key in ("auroc", "fit_s"))
        lines.append(f"| {dataset} | {changed} | {len(found)} | {100 * auroc:.1f} | {seconds:.0f} |")
    return lines


# ---------------------------------------------------------------- benchmarks


def benchmarks() -> Iterator[tuple[str, str | bytes]]:
    """Yield a page for each experiment with records, and an index with the table of the README."""
    names = [
        name for name in EXPERIMENTS if (RESULTS / f"{name}.md").is_file() or (RESULTS / f"{name}.jsonl").is_file()
    ]
    with tempfile.TemporaryDirectory() as copied:  # reports write their figures beside the records
        shutil.copytree(RESULTS, copied, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md", "*.png"))
        for name in names:
            if (RESULTS / f"{name}.jsonl").is_file():
                page = records.page(EXPERIMENTS[name], Path(copied))
            else:  # a page of which the records are not kept
                page = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
            yield f"benchmarks/{name}.md", _without_repository_links(page, "../")
        for figure in Path(copied).glob("*.png"):
            yield f"benchmarks/{figure.name}", figure.read_bytes()
    words = {name: EXPERIMENTS[name].help for name in names}
    listed = [f"| [{name}]({name}.md) | {help} |" for name, help in words.items()]
    yield "benchmarks/index.md", "\n".join([
        "# Benchmarks", "", "Every figure is made from the records in the repository when this site is built. Click on the "
        "heading of a column to sort by it.", "", report.summary(RESULTS), "", "## The rules", "", _rules(), "", "## All experiments", "",
        "| experiment | what it measures |", "|---|---|", *listed, "", "```{toctree}", ":hidden:", "", *names, "```", "",
    ])  # fmt: skip


# ---------------------------------------------------------------- API


def reference() -> Iterator[tuple[str, str]]:
    """Yield the API reference: every public name that is not a detector, by the module that holds it."""
    homes: dict[str, list[str]] = defaultdict(list)
    for name, home in anogan._HOMES.items():
        value = getattr(anogan, name)
        if isinstance(value, type) and issubclass(value, anogan.Detector) and value is not anogan.Detector:
            continue
        public = f"{home}.{name}" if isinstance(value, ModuleType) else f"anogan.{name}"
        homes[home.split(".")[1]].append(public)
    homes["clusters"] = [
        f"anogan.{name}.{public}"
        for name in ("spark", "ray")
        for public, value in vars(importlib.import_module(f"anogan.{name}")).items()
        if public not in anogan._HOMES and getattr(value, "__module__", "").startswith(f"anogan.{name}.")
    ]
    parts = [
        "# API reference",
        "",
        "All names can be imported from `anogan`. Detectors have [pages of their own](../detectors/index.md).",
        "",
    ]
    for home, names in sorted(homes.items()):
        parts += [
            f"## {TITLES.get(home, home)}",
            "",
            "```{eval-rst}",
            ".. autosummary::",
            "   :toctree: items",
            "   :nosignatures:",
            "",
        ]
        parts += [f"   {name}" for name in sorted(names)] + ["```", ""]
    yield "api/index.md", "\n".join(parts)


TITLES = {
    "batch": "Files of any size",
    "clusters": "Clusters",
    "data": "Data",
    "demo": "Demonstration",
    "detectors": "Detectors in general",
    "engine": "Callbacks",
    "errors": "Errors and warnings",
    "evaluation": "Evaluation",
    "nn": "Pretrained networks",
    "pyod": "PyOD",
    "reporting": "Reports and figures",
    "scoring": "Scores",
    "sources": "Reading and writing",
}


# ---------------------------------------------------------------- choosing


def scores() -> dict[str, dict[str, list[float]]]:
    """Return the AUROC in % of each detector at its defaults: detector -> table -> seeds."""
    published = report.PUBLISHED["tabular"]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in _current("tabular"):
        if not record["params"] and published.items() <= record.items():
            found[record["detector"]][record["dataset"]].append(100 * record["auroc"])
    return found


def means() -> dict[str, float]:
    """Return the mean AUROC in % over all tables of each detector that was measured on all of them."""
    found = scores()
    most = max(map(len, found.values()))
    return {name: fmean(map(fmean, tables.values())) for name, tables in found.items() if len(tables) == most}


def choosing() -> Iterator[tuple[str, str]]:
    """Yield the decision figure, and the means behind it."""
    yield "choose.svg", networks.decision()
    found, ours = means(), anogan.detector_names()
    shown = sorted((n for n in found if n in ours or n in CLASSICAL), key=lambda n: -found[n])
    named = [f"[{n}](generated/detectors/{n}.md)" if n in ours else f"*{n}*" for n in shown]
    rows = [f"| {name} | {found[n]:.1f} |" for name, n in zip(named, shown, strict=True)]
    yield "standing.md", "\n".join(["| detector | mean AUROC, % |", "|---|---:|", *rows, ""])


# ---------------------------------------------------------------- files of the repository


def from_repository() -> Iterator[tuple[str, str]]:
    """Yield files of the repository that are pages of the site too, and parts of the README."""
    yield "changelog.md", _without_repository_links((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    yield "contributing.md", _without_repository_links((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    large = _readme("## Large files\n", "\nData on a cluster")
    yield "large_files.md", _without_repository_links(large, "../generated/benchmarks/")


def _rules() -> str:
    return _without_repository_links(_readme("The rules:\n", "\n## "))


def _readme(start: str, end: str) -> str:
    """Return a part of the README, without the texts that delimit it."""
    found = (ROOT / "README.md").read_text(encoding="utf-8").partition(start)[2].partition(end)[0]
    if not found:
        raise ValueError(f"README.md has nothing between {start!r} and {end!r}.")
    return found.strip() + "\n"


def _without_repository_links(text: str, benchmarks: str = "") -> str:
    """Return a page whose links to files of the repository lead to pages of the site, or are text."""

    def replaced(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if (name := re.fullmatch(r"benchmarks/results/(\w+)\.md(#.*)?", target)) and name[1] in EXPERIMENTS:
            return f"[{words}]({benchmarks}{name[1]}.md)"
        if target.startswith(("http", "#")) or target.endswith(".png"):
            return found[0]
        return words

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", replaced, text)
