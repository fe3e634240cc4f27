"""The command line of the benchmarks."""

from ast import literal_eval
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console

import anogan
from anogan import baselines, protocol

from . import ablation as ablations
from . import adbench
from . import conditional as conditions
from . import health as health_checks
from . import patches as patch_methods
from . import pool as pools
from . import promises as promise_checks
from . import reasons as reason_checks
from . import scale as scales
from .cell import Cell, Record, key, provenance
from .datasets import SUITES, datasets_of
from .report import current, summary
from .report import report as report_of
from .run import CellBudget, append_record, read_records, unfinished
from .run import run as run_cells

RESULTS = Path(__file__).parent / "results"
DEFAULT_MAX_ROWS = 50_000
LIMITS = {
    "tabular": ("max_rows",),
    "intrusion": ("max_train", "max_test"),
    "images": ("max_train", "max_test"),
    "speed": (),
}

data_option = click.option(
    "--data-dir",
    envvar="ANOGAN_DATA",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the data sets; or the variable ANOGAN_DATA. Not needed for speed.",
)
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
@data_option
@click.option(
    "--detectors",
    help="Comma-separated: names (see `list`), `gans`, `fast` (gans and classical baselines), `all`, import paths "
    "such as sklearn.svm.OneClassSVM.  [default: all; speed: gans]",
)
@click.option(
    "--protocol",
    "protocol_name",
    type=click.Choice(list(protocol.PROTOCOLS)),
    help="Of the tabular suite.  [default: semi]",
)
@click.option("--datasets", help="Comma-separated names; by default all that are in the folder.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@click.option("--set", "changes", multiple=True, metavar="PARAMETER=VALUE", help="Of the detectors that have it.")
@click.option("--max-rows", type=click.IntRange(10), help=f"Per ADBench table.  [default: {DEFAULT_MAX_ROWS}]")
@click.option("--max-train", type=click.IntRange(2), help="Training rows, at most (intrusion, images).")
@click.option("--max-test", type=click.IntRange(2), help="Test rows, at most (intrusion, images).")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Cells at a time.")
@click.option("--time-limit", default=1800.0, show_default=True, help="Seconds for each cell.")
@click.option("--memory-limit", default=8000, show_default=True, help="MB for each cell's process.")
@click.option("--retry-failed", is_flag=True, help="Run cells again whose record is an error.")
@results_option
def run(
    suite: str,
    data_dir: Path | None,
    detectors: str | None,
    protocol_name: str | None,
    datasets: str | None,
    seeds: str,
    changes: tuple[str, ...],
    max_rows: int | None,
    max_train: int | None,
    max_test: int | None,
    jobs: int,
    time_limit: float,
    memory_limit: int,
    retry_failed: bool,
    results: Path,
) -> None:
    """Run the cells of SUITE that have no record yet."""
    if data_dir is None and suite != "speed":
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    if suite == "speed" and jobs > 1:
        raise click.UsageError("The speed suite runs one cell at a time; leave out --jobs.")
    if protocol_name is not None and suite != "tabular":
        raise click.UsageError(f"--protocol has no meaning in suite {suite}.")
    found = datasets_of(suite, data_dir or Path(), protocol_name or "semi")
    if not found:
        raise click.UsageError(
            f"{data_dir} holds no data of suite {suite}; benchmarks/README.md says where it is from."
        )
    given = {"max_rows": max_rows, "max_train": max_train, "max_test": max_test}
    for name, value in given.items():
        if value is not None and name not in LIMITS[suite]:
            raise click.UsageError(f"--{name.replace('_', '-')} has no meaning in suite {suite}.")
    limits = {name: value for name, value in given.items() if value is not None}
    console = Console(stderr=True)
    if suite == "tabular":
        limits.setdefault("max_rows", DEFAULT_MAX_ROWS)
    try:
        chosen = baselines.chosen(detectors or ("gans" if suite == "speed" else "all"))
        variants = _variants(chosen, changes)
    except anogan.InputError as error:
        raise click.UsageError(str(error)) from None
    if suite == "speed" and not all(map(baselines.is_ours, chosen)):
        raise click.UsageError("The speed suite measures the GAN detectors only.")
    cells = [
        Cell(suite, found[dataset].protocol, dataset, name, seed, params, limits)
        for seed in _numbers(seeds, "--seeds")
        for dataset in _chosen(datasets, list(found), "--datasets")
        for name, params in variants
    ]
    for dataset in {cell.dataset for cell in cells} if suite == "tabular" else ():
        if adbench.differs((data_dir or Path()) / found[dataset].files[0]):
            console.print(f"{dataset}: this file is not the one of the committed records (SHA-256 differs)")
    path = results / f"{suite}.jsonl"
    todo = unfinished(cells, path, retry_failed=retry_failed)
    console.print(f"{len(cells)} cells, {len(cells) - len(todo)} have a record already")
    budget = CellBudget(time_limit, memory_limit)
    failed = run_cells(todo, (data_dir or Path()).resolve(), path, jobs=jobs, budget=budget, console=console)
    if failed:
        console.print(f"{failed} cells failed; their records say why. --retry-failed runs them again.")


@main.command()
@data_option
@click.option("--datasets", help="Comma-separated names; by default all that are in the folder.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@click.option("--max-rows", type=click.IntRange(10), default=DEFAULT_MAX_ROWS, show_default=True, help="Per table.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Cells at a time.")
@results_option
def ablation(data_dir: Path, datasets: str | None, seeds: str, max_rows: int, jobs: int, results: Path) -> None:
    """Measure DenoisingGAN with one part changed at a time, and write ablation.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    names = _chosen(datasets, list(datasets_of("tabular", data_dir)), "--datasets")
    cells = [
        Cell("tabular", "semi", dataset, ablations.DETECTOR, seed, params, {"max_rows": max_rows})
        for params in ablations.VARIANTS.values()
        for seed in _numbers(seeds, "--seeds")
        for dataset in names
    ]
    path = results / "ablation.jsonl"
    todo = unfinished(cells, path, retry_failed=True)
    run_cells(todo, data_dir.resolve(), path, jobs=jobs, budget=CellBudget(1800.0, 8000), console=Console(stderr=True))
    asked = {key(cell.identity()) for cell in cells}
    text = ablations.report([record for record in current(read_records(path))[0] if key(record) in asked])
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    click.echo(text)


@main.command()
@data_option
@click.option("--seeds", default="0-2", show_default=True, help="Such as 0-4 or 0,3.")
@results_option
def conditional(data_dir: Path | None, seeds: str, results: Path) -> None:
    """Measure what ConditionalGAN gains from its condition on NSL-KDD, and write conditional.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    text = conditions.report(list(conditions.run(data_dir, _numbers(seeds, "--seeds"))))
    (results / "conditional.md").write_text(text, encoding="utf-8")
    click.echo(text)


@main.command()
@data_option
@click.option("--datasets", help="Comma-separated folders in MVTec layout; by default all that are below images/.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@click.option("--variants", help="Comma-separated, such as 'FeatureGAN'; by default all.")
@results_option
def patches(data_dir: Path | None, datasets: str | None, seeds: str, variants: str | None, results: Path) -> None:
    """Measure FeatureGAN beside PaDiM's and PatchCore's distances on the same features, and write patches.md."""
    _patch_methods(patch_methods, "patches", data_dir, datasets, seeds, variants, results)


@main.command()
@data_option
@click.option("--datasets", help="Comma-separated folders in MVTec layout; by default all that are below images/.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@click.option("--variants", help="Comma-separated, such as 'CycleGAN in features'; by default all.", metavar="NAMES")
@results_option
def pool(data_dir: Path | None, datasets: str | None, seeds: str, variants: str | None, results: Path) -> None:
    """Measure CycleGAN with an unlabelled pool that holds some defects, and write pool.md."""
    _patch_methods(pools, "pool", data_dir, datasets, seeds, variants, results)


@main.command()
@data_option
@click.option("--datasets", help="Comma-separated names; by default all.")
@click.option("--detectors", help="Comma-separated names; by default all of the table.")
@click.option("--seeds", default="0", show_default=True, help="Such as 0-4 or 0,3.")
@results_option
def reasons(data_dir: Path | None, datasets: str | None, detectors: str | None, seeds: str, results: Path) -> None:
    """Measure how often a corrupted column is named as the first reason, and write reasons.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    names = _chosen(datasets, list(reason_checks.TABLES), "--datasets")
    chosen = _chosen(detectors, list(reason_checks.DETECTORS), "--detectors")
    found = reason_checks.run(data_dir, names, chosen, _numbers(seeds, "--seeds"))
    _publish(found, reason_checks.report, results / "reasons.jsonl")


@main.command()
@data_option
@click.option("--variants", help="Comma-separated, such as 'wgan_gp'; by default all.")
@results_option
def promises(data_dir: Path | None, variants: str | None, results: Path) -> None:
    """Measure whether promised rates of false alarms and false discoveries are kept, and write promises.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    found = promise_checks.run(data_dir, _chosen(variants, list(promise_checks.VARIANTS), "--variants"))
    _publish(found, promise_checks.report, results / "promises.jsonl")


@main.command()
@data_option
@click.option("--datasets", help="Comma-separated names of tables; by default all of this measurement's.")
@results_option
def health(data_dir: Path | None, datasets: str | None, results: Path) -> None:
    """Measure which trainings, good ones and spoilt ones, are diagnosed as what, and write health.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    found = health_checks.run(data_dir, _chosen(datasets, list(health_checks.TABLES), "--datasets"))
    _publish(found, health_checks.report, results / "health.jsonl")


@main.command()
@data_option
@click.option("--rows", default="1,3,10", show_default=True, help="Millions of rows, such as 1,3,10.")
@click.option("--variants", help=f"Comma-separated: {', '.join(scales.VARIANTS)}; by default all.")
@click.option(
    "--scratch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the long files are written, and deleted in the end; by default the system's folder for such.",
)
@results_option
def scale(data_dir: Path | None, rows: str, variants: str | None, scratch: Path | None, results: Path) -> None:
    """Measure time and memory of fitting on long files and scoring them, and write scale.md."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    source = data_dir / "tables" / "nsl_kdd_train.csv"
    sizes = [1_000_000 * millions for millions in _numbers(rows, "--rows")]
    found = scales.run(source, sizes, _chosen(variants, list(scales.VARIANTS), "--variants"), scratch)
    _publish(found, scales.report, results / "scale.jsonl")


@main.command(name="list")
@data_option
def list_known(data_dir: Path | None) -> None:
    """List the detectors, and ADBench's tables: which are at hand, and where the others are published."""
    click.echo(f"GAN detectors: {', '.join(anogan.list_detectors())}")
    for kind in dict.fromkeys(entry.kind for entry in baselines.BASELINES.values()):
        click.echo(f"{kind} baselines: {', '.join(n for n, e in baselines.BASELINES.items() if e.kind == kind)}")
    for file, digest in adbench.SHA256.items():
        path = (data_dir or Path()) / "adbench" / file
        state = "missing" if not path.is_file() else "differs" if adbench.differs(path) else "at hand"
        click.echo(f"{state:8} {digest or 'SHA-256 unknown':64} {adbench.PUBLISHED.format(file=file)}")


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


def _patch_methods(
    methods: ModuleType,
    name: str,
    data_dir: Path | None,
    datasets: str | None,
    seeds: str,
    variants: str | None,
    results: Path,
) -> None:
    """Append the records of a comparison on folders of pictures, and write its table."""
    if data_dir is None:
        raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
    found = {path.parents[1].name: path.parents[1] for path in sorted(data_dir.glob("images/*/train/good"))}
    names = _chosen(variants, list(methods.VARIANTS), "--variants")
    chosen = _chosen(datasets, list(found), "--datasets")
    records = (record for one in chosen for record in methods.run(found[one], _numbers(seeds, "--seeds"), names))
    _publish(records, methods.report, results / f"{name}.jsonl")


def _publish(found: Iterable[Record], report: Callable[[list[Record]], str], path: Path) -> None:
    """Append each record as it comes, and write and print the table of all of them."""
    for record in found:
        append_record(path, record | provenance(jobs=1))
    text = report(read_records(path))
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    click.echo(text)


def _variants(detectors: list[str], changes: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Each detector with those of its parameters that `changes` (PARAMETER=VALUE) bring away from the default."""
    pairs = [(name, text) for name, sign, text in (change.partition("=") for change in changes) if sign]
    variants: list[tuple[str, dict[str, Any]]] = []
    known: set[str] = set()
    for name in detectors:
        if baselines.is_ours(name):
            declared = anogan.list_detectors()[name].parameters()
            defaults = {p: parameter.default for p, parameter in declared.items()}
            params = {p: _value(text, declared[p].constraint) for p, text in pairs if p in declared}
            anogan.list_detectors()[name](**params).check_parameters()
        else:
            defaults = baselines.settings(name, {}) | {"scaling": None}
            params = {p: _literal(text) for p, text in pairs if p in defaults}
        known |= set(defaults)
        variants.append((name, {p: v for p, v in params.items() if v != defaults[p]}))
    for change in changes:
        name, sign, _ = change.partition("=")
        if not sign or name not in known:
            raise click.UsageError(f"--set {change}: needed is PARAMETER=VALUE, of a detector that runs.")
    return variants


def _literal(text: str) -> Any:
    """A baseline's parameter: a Python literal, else text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


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
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise click.UsageError(f"{option}: {name!r} is not one of {', '.join(known)}.")
    if not names:
        raise click.UsageError(f"{option} names nothing.")
    return names


def _numbers(text: str, option: str) -> list[int]:
    try:
        ranges = [part.split("-") for part in text.split(",")]
        numbers = [n for first, *last in ranges for n in range(int(first), int(last[0] if last else first) + 1)]
    except ValueError:
        numbers = []
    if not numbers:
        raise click.UsageError(f"{option}: {text!r} is not like 0-4 or 0,3.")
    return list(dict.fromkeys(numbers))
