"""The command line of the benchmarks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import anogan

from .baselines import BASELINES
from .cell import Cell
from .datasets import SUITES, datasets_of
from .report import report as report_of
from .report import summary
from .run import run as run_cells
from .run import unfinished

RESULTS = Path(__file__).parent / "results"
DEFAULT_MAX_ROWS = 10_000
LIMITS = {
    "tabular": ("max_rows",),
    "intrusion": ("max_train", "max_test"),
    "images": ("max_train", "max_test"),
    "speed": (),
}

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    help="Where records are kept.",
)


@click.group()
def main() -> None:
    """Measure the detectors beside classical ones."""


@main.command()
@click.argument("suite", type=click.Choice(SUITES))
@click.option(
    "--data-dir",
    envvar="ANOGAN_DATA",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the data sets; or the variable ANOGAN_DATA. Not needed for speed.",
)
@click.option("--detectors", help="Comma-separated names; by default all.")
@click.option("--baselines", help=f"Of {', '.join(BASELINES)}; by default all; '' for none.")
@click.option("--datasets", help="Comma-separated names; by default all that are in the folder.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@click.option("--n-members", help="Such as 1,4: each gives cells of its own; by default the detector's own.")
@click.option("--set", "changes", multiple=True, metavar="PARAMETER=VALUE", help="Of the detectors that have it.")
@click.option("--max-rows", type=click.IntRange(10), help=f"Per ADBench table.  [default: {DEFAULT_MAX_ROWS}]")
@click.option("--max-train", type=click.IntRange(2), help="Training rows, at most (intrusion, images).")
@click.option("--max-test", type=click.IntRange(2), help="Test rows, at most (intrusion, images).")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Cells at a time.")
@click.option("--time-limit", default=1800.0, show_default=True, help="Seconds for each cell.")
@click.option("--retry-failed", is_flag=True, help="Run cells again whose record is an error.")
@results_option
def run(
    suite: str,
    data_dir: Path | None,
    detectors: str | None,
    baselines: str | None,
    datasets: str | None,
    seeds: str,
    n_members: str | None,
    changes: tuple[str, ...],
    max_rows: int | None,
    max_train: int | None,
    max_test: int | None,
    jobs: int,
    time_limit: float,
    retry_failed: bool,
    results: Path,
) -> None:
    """Run the cells of SUITE that have no record yet."""
    if data_dir is None and suite != "speed":
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    if suite == "speed" and jobs > 1:
        raise click.UsageError("The speed suite runs one cell at a time; leave out --jobs.")
    found = list(datasets_of(suite, data_dir or Path()))
    if not found:
        raise click.UsageError(
            f"{data_dir} holds no data of suite {suite}; benchmarks/README.md says where it is from."
        )
    chosen_baselines = [] if suite == "speed" else _chosen(baselines, list(BASELINES), "--baselines")
    chosen_detectors = _chosen(detectors, list(anogan.list_detectors()), "--detectors")
    given = {"max_rows": max_rows, "max_train": max_train, "max_test": max_test}
    for name, value in given.items():
        if value is not None and name not in LIMITS[suite]:
            raise click.UsageError(f"--{name.replace('_', '-')} has no meaning in suite {suite}.")
    limits = {name: value for name, value in given.items() if value is not None}
    if suite == "tabular":
        limits.setdefault("max_rows", DEFAULT_MAX_ROWS)
    members = [None] if n_members is None else list(_numbers(n_members, "--n-members"))
    variants = _variants(chosen_detectors, chosen_baselines, members, changes)
    cells = [
        Cell(suite, dataset, name, seed, params, limits)
        for seed in _numbers(seeds, "--seeds")
        for dataset in _chosen(datasets, found, "--datasets")
        for name, params in variants
    ]
    path = results / f"{suite}.jsonl"
    todo = unfinished(cells, path, retry_failed=retry_failed)
    console = Console(stderr=True)
    console.print(f"{len(cells)} cells, {len(cells) - len(todo)} have a record already")
    failed = run_cells(todo, (data_dir or Path()).resolve(), path, jobs=jobs, time_limit=time_limit, console=console)
    if failed:
        console.print(f"{failed} cells failed; their records say why. --retry-failed runs them again.")


@main.command()
@click.argument("suites", nargs=-1, type=click.Choice(SUITES))
@results_option
@click.option("--summary", "only_summary", is_flag=True, help="Print the README's short table, and write nothing.")
def report(suites: tuple[str, ...], results: Path, only_summary: bool) -> None:
    """Print the tables of SUITES (all, if none is named) and write them beside the records."""
    if only_summary:
        click.echo(summary(results))
        return
    for suite in suites or SUITES:
        records = results / f"{suite}.jsonl"
        if not records.is_file():
            if suites:
                raise click.UsageError(f"There are no records of suite {suite} yet.")
            continue
        text = report_of(records)
        records.with_suffix(".md").write_text(text, encoding="utf-8")
        click.echo(text)


def _variants(
    detectors: list[str], baselines: list[str], members: Sequence[int | None], changes: tuple[str, ...]
) -> list[tuple[str, dict[str, Any]]]:
    """Each detector with its changed parameters, once for each number of members; then the baselines."""
    classes = {name: anogan.list_detectors()[name] for name in detectors}
    changed: dict[str, dict[str, Any]] = {name: {} for name in [*detectors, *baselines]}
    for change in changes:
        name, sign, text = change.partition("=")
        takers = [detector for detector, cls in classes.items() if name in cls.parameters()]
        if not sign or not (takers or (name == "scaling" and baselines)):
            raise click.UsageError(f"--set {change}: needed is PARAMETER=VALUE, of a detector that runs.")
        for detector in takers:
            parameter = classes[detector].parameters()[name]
            changed[detector][name] = _value(text, parameter.constraint)
        for baseline in baselines if name == "scaling" else []:
            changed[baseline][name] = text
    variants = []
    for name, cls in classes.items():
        for k in members:
            params = {p: v for p, v in (changed[name] | {"n_members": k}).items() if v != cls.parameters()[p].default}
            try:
                cls(**params).check_parameters()
            except anogan.InputError as error:
                raise click.UsageError(str(error)) from None
            variants.append((name, params))
    return variants + [(name, changed[name]) for name in baselines]


def _value(text: str, constraint: Any) -> Any:
    if (constraint.choices and text in constraint.choices) or constraint.kind is str:
        return text
    if text.lower() == "none" and constraint.optional:
        return None
    try:
        return {"true": True, "false": False}[text.lower()] if constraint.kind is bool else constraint.kind(text)
    except (KeyError, ValueError):
        raise click.UsageError(f"{text!r} is no {constraint.kind.__name__}.") from None


def _chosen(text: str | None, known: list[str], option: str) -> list[str]:
    if text is None:
        return known
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise click.UsageError(f"{option}: {name!r} is not one of {', '.join(known)}.")
    return names


def _numbers(text: str, option: str) -> list[int]:
    try:
        ranges = [part.split("-") for part in text.split(",")]
        return [n for first, *last in ranges for n in range(int(first), int(last[0] if last else first) + 1)]
    except ValueError:
        raise click.UsageError(f"{option}: {text!r} is not like 0-4 or 0,3.") from None
