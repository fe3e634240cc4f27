"""`anogan recalibrate`: compute the threshold from other normal data; the networks do not change."""

from typing import Any

import click

import anogan
from anogan import Stream

from . import options
from .output import reserve, save, to_json, warn_of
from .progress import Reporter


@click.command(epilog=options.examples("anogan recalibrate other_normal.csv -m model.anogan -o recalibrated.anogan"))
@options.data_argument
@options.model_option
@click.option("-o", "--output", required=True, metavar="NEW_MODEL", help="The model file to write.")
@click.option(
    "--target-fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="RATE",
    help="False-alarm rate on normal rows that the threshold guarantees.  [default: that of MODEL]",
)
@options.stream_options
def command(
    data: options.Data,
    model_path: str,
    output: str,
    target_fpr: float | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Compute the threshold and the p-values of a model from DATA, without training.

    DATA are current normal rows or pictures that the model was not fitted on. They are read in chunks; only their
    scores stay in memory. Of a folder with folders such as OK and NG, or train/good, the normal pictures are used; they
    must not be those that the model was fitted on.
    """
    reserve(output, [*data, model_path])
    detector = anogan.load(model_path)
    if target_fpr is not None:
        detector.set_params(target_fpr=target_fpr, contamination="auto")
    before = detector.calibration_
    stream = Stream(detector, data, part="train", **reading)
    with Reporter(quiet=quiet) as reporter:
        detector.recalibrate(stream.samples(reporter.show))
    warn_of(stream)
    save(detector, output)
    after = detector.calibration_
    facts: dict[str, Any] = {
        "model": output,
        "rows": len(after.scores),
        "threshold_before": before.threshold,
        "threshold": after.threshold,
        "map_threshold": after.map_threshold,
        "skipped": stream.skipped,
        "unscored": vars(stream.unscored),
    }
    if as_json:
        click.echo(to_json(facts))
    elif not quiet:
        unit = "picture" if detector.preprocessor_.kind == "image" else "row"
        click.echo(
            f"threshold {before.threshold:.6g} -> {after.threshold:.6g}, from "
            f"{anogan.summary.counted(len(after.scores), unit)}; written to {output}"
        )
