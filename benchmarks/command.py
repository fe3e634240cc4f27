"""The command line of the benchmarks."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

import anogan
from anogan import baselines

from . import adbench
from .ablation import Ablation
from .clusters import Clusters
from .conditional import Conditional
from .discoveries import Discoveries
from .experiment import Experiment
from .fusion import Fusion
from .groups import Groups
from .health import Health
from .images import Images
from .intrusion import Intrusion
from .oddbench import OddBench
from .patches import Patches
from .picture_health import PictureHealth
from .production import Production
from .promises import Promises
from .rates import Rates
from .reasons import Reasons
from .records import page, path_of, unfinished
from .report import summary
from .run import CellBudget
from .run import run as run_cells
from .samples import Samples
from .scale import Scale
from .speed import Speed
from .startup import Startup
from .synthetic import Synthetic
from .tabular import Tabular
from .throughput import Throughput
from .unlabelled import Unlabelled

RESULTS = Path(__file__).parent / "results"
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Tabular(),
        OddBench(),
        Intrusion(),
        Images(),
        Ablation(),
        Fusion(),
        Patches(),
        Unlabelled(),
        Conditional(),
        Reasons(),
        Promises(),
        Groups(),
        Discoveries(),
        Health(),
        PictureHealth(),
        Samples(),
        Rates(),
        Synthetic(),
        Speed(),
        Throughput(),
        Scale(),
        Clusters(),
        Production(),
        Startup(),
    )
}

data_option = click.option(
    "--data-dir",
    envvar="ANOGAN_DATA",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of data sets; or the variable ANOGAN_DATA.",
)
results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    help="Folder of records and pages.  [default: benchmarks/results]",
)


@click.group()
def main() -> None:
    """Measure the detectors beside classical ones."""


@main.group(subcommand_metavar="EXPERIMENT [OPTIONS]")
def run() -> None:
    """Measure the cells of EXPERIMENT that have no record yet."""


def _command(experiment: Experiment) -> click.Command:
    """Return ``run EXPERIMENT``, with an option for each axis."""

    @click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Cells at a time.")
    @click.option("--time-limit", default=experiment.time_limit, show_default=True, help="Seconds for each cell.")
    @click.option("--memory-limit", default=8000, show_default=True, help="MB for the process of each cell.")
    @click.option("--retry-failed", is_flag=True, help="Measure cells again whose record is an error.")
    @click.option("--again", is_flag=True, help="Measure cells again that have a record; the new one counts.")
    @results_option
    def measure(
        jobs: int,
        time_limit: float,
        memory_limit: int,
        retry_failed: bool,
        again: bool,
        results: Path,
        data_dir: Path | None = None,
        **chosen: Any,
    ) -> None:
        if data_dir is None and experiment.needs_data:
            raise click.UsageError("Give --data-dir or set ANOGAN_DATA.")
        data = (data_dir or Path()).resolve()
        for axis in experiment.axes:
            chosen[axis.name] = axis.parse(chosen[axis.name], data)
            if not chosen[axis.name]:
                raise click.UsageError(
                    f"{data_dir} has no {axis.name} for this experiment; benchmarks/README.md says where data are from."
                )
        try:
            cells = experiment.cells(data, chosen)
        except anogan.InputError as error:
            raise click.UsageError(str(error)) from None
        path = path_of(experiment, results)
        todo = cells if again else unfinished(experiment, cells, path, retry_failed=retry_failed)
        console = Console(stderr=True)
        console.print(f"{anogan.summary.counted(len(cells), 'cell')}, {len(cells) - len(todo)} have a record already")
        budget = CellBudget(time_limit, memory_limit)
        failed = run_cells(experiment, todo, data, results, jobs=jobs, budget=budget, console=console)
        if failed:
            cells_failed = anogan.summary.counted(failed, "cell")
            console.print(f"{cells_failed} failed; the records say why. --retry-failed measures them again.")

    command = click.command(name=experiment.name, help=experiment.help)(measure)
    axes = [click.Option([axis.option, axis.name], help=axis.help) for axis in experiment.axes]
    command.params = [*axes, *experiment.options, *command.params]
    return data_option(command) if experiment.needs_data else command


for _experiment in EXPERIMENTS.values():
    run.add_command(_command(_experiment))


@main.command(name="list")
@data_option
def list_known(data_dir: Path | None) -> None:
    """List experiments, detectors, and ADBench's tables: which are at hand, and where the others are published."""
    for experiment in EXPERIMENTS.values():
        click.echo(f"{experiment.name:12} {experiment.help}")
    click.echo(f"GAN detectors: {', '.join(anogan.list_detectors())}")
    for kind in dict.fromkeys(entry.kind for entry in baselines.BASELINES.values()):
        click.echo(f"{kind} baselines: {', '.join(n for n, e in baselines.BASELINES.items() if e.kind == kind)}")
    for file, digest in adbench.SHA256.items():
        path = (data_dir or Path()) / "adbench" / file
        state = "missing" if not path.is_file() else "differs" if adbench.differs(path) else "at hand"
        click.echo(f"{state:8} {digest or 'SHA-256 unknown':64} {adbench.PUBLISHED.format(file=file)}")


@main.command()
@click.argument("experiments", nargs=-1, type=click.Choice(list(EXPERIMENTS)), metavar="[EXPERIMENT]...")
@results_option
@click.option("--summary", "only_summary", is_flag=True, help="Print the README's short table, and write nothing.")
def report(experiments: tuple[str, ...], results: Path, only_summary: bool) -> None:
    """Write the pages of the experiments beside their records (of all that have some by default), and print them."""
    if only_summary:
        click.echo(summary(results))
        return
    for name in experiments or EXPERIMENTS:
        path = path_of(EXPERIMENTS[name], results)
        if not path.is_file():
            if experiments:
                raise click.UsageError(f"There are no records of experiment {name} yet.")
            continue
        text = page(EXPERIMENTS[name], results)
        path.with_suffix(".md").write_text(text, encoding="utf-8")
        click.echo(text)
